package generation_test

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore/generation"
)

// TestFiles names the files that a generation has, all of them and no other, and lists
// the checksum of each but the manifest's own.
func TestFiles(t *testing.T) {
	store := generation.Store{Root: hosttest.Root(t)}
	old := hosttest.Generation(t, rules.NFT, hosttest.Article)
	old.Services = nil // as natspread 0.1 wrote them
	several := hosttest.Generation(t, rules.NFT, hosttest.Article)
	for _, name := range []string{"conf.d/b c.toml", "conf.d/a.toml"} {
		several.Config = several.Config.With(configfiles.File{Name: name, Text: []byte("# " + name + "\n")})
	}
	replacing := hosttest.Generation(t, rules.NFT, hosttest.Article)
	replacing.TakenOut = []rules.Taken{{Chain: "LB"}, {Chain: "PREROUTING", Place: 1, Text: "-j LB"}}
	for i, c := range []struct {
		generation generation.Generation
		want       []string
	}{
		{old, []string{"manifest", "config/natspread.toml", "rules.v4", "rules.v6"}},
		{hosttest.Generation(t, rules.NFT, hosttest.Article), hosttest.Members()},
		{hosttest.Generation(t, rules.NFT, hosttest.Accepted(hosttest.Article)), append([]string{"filter.v4", "filter.v6"}, hosttest.Members()...)},
		{hosttest.Generation(t, rules.NFT, hosttest.Clamped(hosttest.Article)), append([]string{"mangle.v4", "mangle.v6"}, hosttest.Members()...)},
		{several, append([]string{"config/conf.d/a.toml", "config/conf.d/b c.toml"}, hosttest.Members()...)},
		{replacing, append([]string{"taken-out.v4"}, hosttest.Members()...)},
	} {
		number, err := store.Write(c.generation)
		hosttest.Must(t, err)
		hosttest.Must(t, store.SetCurrent(number))
		directory := filepath.Join(paths.Generations, strconv.Itoa(i+1))
		want := []string{paths.Current}
		for _, name := range c.want {
			want = append(want, filepath.Join(directory, name))
		}
		got := store.Files(number)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the files: want -, have +\n%s", diff)
		}
		var onDisk []string
		hosttest.Must(t, filepath.WalkDir(store.Path(directory), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				onDisk = append(onDisk, path)
			}
			return err
		}))
		if len(onDisk) != len(c.want) {
			t.Errorf("on disk: %v", onDisk)
		}
	}
	for number, want := range map[int]int{0: 1, 5: 1, 6: 0} { // generation 6 replaced rules of others
		if notes := store.TakenOutSince(number, rules.NFT); len(notes) != want {
			t.Errorf("since generation %d: %q", number, notes)
		}
	}
	written, err := store.Read(3)
	if err != nil || len(written.SHA256) != 6 || written.SHA256["services"] == "" || written.SHA256["manifest"] != "" {
		t.Errorf("checksums %v, %v", written.SHA256, err)
	}
}
