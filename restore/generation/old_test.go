package generation_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/configfiles"
	"natspread/internal/paths"
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

// TestSingleConfig reads generations of before conf.d, which kept one natspread.toml: it is the same
// config as the one of now, so an apply of it changes nothing, and none is another one to go back to.
func TestSingleConfig(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := generation.Store{Root: hosttest.Root(t)}
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Article, hosttest.Article)
	was := store.Path(paths.Generations, "1")
	manifest, err := os.ReadFile(filepath.Join(was, "manifest"))
	hosttest.Must(t, err)
	before := strings.Replace(string(manifest), `"config/natspread.toml"`, `"natspread.toml"`, 1)
	hosttest.Must(t, errors.Join(
		os.WriteFile(filepath.Join(was, "manifest"), []byte(before), 0o600),
		os.Rename(filepath.Join(was, "config/natspread.toml"), filepath.Join(was, "natspread.toml")),
		os.Remove(filepath.Join(was, "config")),
	))
	old, err := store.Read(1)
	hosttest.Must(t, err)
	wanted := hosttest.Generation(t, rules.NFT, hosttest.Article)
	if why := old.Outdated(wanted); why != "" || before == string(manifest) {
		t.Errorf("why it does not serve any more: %q", why)
	}
	now, err := store.Read(2)
	hosttest.Must(t, err)
	if number := store.Earlier(now); number != 0 {
		t.Errorf("generation %d is the same", number)
	}
	if files := strings.Join(store.Files(1), " "); !strings.Contains(files, "1/natspread.toml") || strings.Contains(files, "config") {
		t.Errorf("its files: %q", files)
	}
	wanted.Config = wanted.Config.With(configfiles.File{Name: "conf.d/a.toml"})
	if why := old.Outdated(wanted); why != "the text of the config differs from that of generation 1" {
		t.Errorf("with a file more: %q", why)
	}
}

// TestGenerationBeforePools reads a generation of before there were pools, port maps, lists of clients,
// mangle and conf.d. An old config means what it meant: what is written of it now is the same, so an apply
// of it changes nothing.
func TestGenerationBeforePools(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := generation.Store{Root: hosttest.Root(t)}
	toml := hosttest.WriteOld(t, store, rules.NFT, "../../testdata/generations/single")
	old, fallback, err := store.Boot()
	hosttest.Must(t, errors.Join(fallback, err))
	wanted := hosttest.Generation(t, rules.NFT, toml)
	if why := old.Outdated(wanted); why != "" || old.Services == nil || !old.Tables.Equal(wanted.Tables) {
		t.Errorf("why it does not serve any more: %q", why)
	}
}

// TestConfigNames refuses a manifest that names a file of the config which is none, also one that leads
// elsewhere.
func TestConfigNames(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, name := range []string{"config/conf.d/../../rules.v4", "config/rules.v4", "config/conf.d/.a.toml", "config/conf.d/a", "config/conf.d/b/a.toml", "config//a.toml", "config/"} {
		store := generation.Store{Root: hosttest.Root(t)}
		hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Article)
		file := store.Path(paths.Generations, "1", "manifest")
		manifest, err := os.ReadFile(file)
		hosttest.Must(t, err)
		hosttest.Must(t, os.WriteFile(file, []byte(strings.Replace(string(manifest), "config/natspread.toml", name, 1)), 0o600))
		if _, err := store.Read(1); err == nil || !strings.Contains(err.Error(), "is no name of a config's file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
