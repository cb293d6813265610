package generation_test

import (
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// TestOldGeneration reads what natspread 0.1 wrote: its jumps carry a comment, and it does
// not say what it balances. What natspread writes now of the same config is the same else,
// but that its accepts in FORWARD name the backends, so an apply makes a new generation.
func TestOldGeneration(t *testing.T) {
	if !netnstest.Isolate(t) { // as whose files nobody else's count
		return
	}
	store := generation.Store{Root: hosttest.Root(t)}
	toml := hosttest.WriteOld(t, store, rules.NFT, "../../testdata/generations/0.1")
	old, err := store.Current()
	hosttest.Must(t, err)
	if old.Number != 1 || old.Version != "0.1.0" || old.Services != nil {
		t.Errorf("%+v", old.Manifest)
	}
	now := hosttest.Tables(t, toml)
	for i, table := range old.Tables.All() {
		text := string(table.Text())
		if table.Name == rules.Mangle { // of which there was nothing
			if !table.Empty() {
				t.Errorf("%s: %s", table, text)
			}
			continue
		}
		if !table.CommentedJumps || !strings.Contains(text, "--comment natspread") {
			t.Errorf("%s: no comment in\n%s", table, text)
		}
		if table.Name == rules.NAT {
			hosttest.WantSame(t, table.String(), string(now.All()[i].Text()), strings.ReplaceAll(text, "-m comment --comment natspread ", ""))
		}
	}
	wanted := hosttest.Generation(t, rules.NFT, toml)
	if why := old.Outdated(wanted); why != "generation 1 has other rules" {
		t.Errorf("why it does not serve any more: %q", why)
	}
	if files := store.Files(1); len(files) != 7 || strings.Contains(strings.Join(files, " "), "services") {
		t.Errorf("its files: %q", files)
	}
}
