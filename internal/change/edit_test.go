package change

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore"
	"natspread/restore/generation"
)

// two is a config of two backends, one of which is drained below.
const two = `# By hand.
[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80"] # two
`

// drained is two after that.
var drained = strings.Replace(two, `["10.0.0.1:80"`, `[{ address = "10.0.0.1:80", drain = true }`, 1)

// configIn writes a config file and returns its path.
func configIn(t *testing.T, store generation.Store, text string) string {
	t.Helper()
	path := store.Path("natspread.toml")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

// planDrain plans to drain the first backend in a config file.
func planDrain(t *testing.T, store generation.Store, path string) (Edit, error) {
	t.Helper()
	plan, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return PlanDrain(store, plan, Target{"web", "10.0.0.1:80"}, true)
}

// TestPlanDrain plans what changes the backend and nothing else of what is applied, and
// refuses anything more. It writes nothing.
func TestPlanDrain(t *testing.T) {
	const others = "has other changes that are not applied yet: see natspread diff"
	for name, c := range map[string]struct {
		applied, file string // "" where nothing is applied
		want          string // what the file is to be, "" if it is refused
		why           string
	}{
		"as applied":             {two, two, drained, ""},
		"other words":            {"# Before.\n" + two, two, drained, ""},
		"drained, and applied":   {drained, drained, drained, ""},
		"drained, not applied":   {two, drained, drained, ""},
		"another weight":         {two, strings.Replace(two, `"10.0.0.2:80"`, `{ address = "10.0.0.2:80", weight = 2 }`, 1), "", others},
		"another backend":        {two, strings.Replace(two, `, "10.0.0.2:80"`, `, "10.0.0.2:80", "10.0.0.3:80"`, 1), "", others},
		"a service more":         {two, two + strings.ReplaceAll(strings.ReplaceAll(two, "web", "more"), ":80", ":81"), "", others},
		"the backend is new":     {strings.Replace(two, `"10.0.0.1:80", `, "", 1), two, "", others},
		"another weight than it": {strings.Replace(two, `["10.0.0.1:80"`, `[{ address = "10.0.0.1:80", weight = 3 }`, 1), two, "", others},
		"nothing applied":        {"", two, "", "no generation has been applied yet"},
		"no such service":        {two, strings.Replace(two, "web", "site", 1), "", `there is no service "web"`},
		"no such backend":        {two, strings.Replace(two, "10.0.0.1", "10.0.0.9", 1), "", "10.0.0.1:80"},
	} {
		t.Run(name, func(t *testing.T) {
			if !netnstest.Isolate(t) {
				return
			}
			store := newStore(t)
			if c.applied != "" {
				current(t, store, old(t, c.applied))
			}
			path := configIn(t, store, c.file)
			drain, err := planDrain(t, store, path)
			switch {
			case c.want == "" && (err == nil || !strings.Contains(err.Error(), c.why)):
				t.Errorf("%v", err)
			case c.want != "" && err != nil:
				t.Error(err)
			case c.want != "" && (string(drain.Files.Main()) != c.want || len(drain.Backends) != 1 || drain.Backends[0].Backend.String() != "10.0.0.1:80" || drain.Backends[0].Service.Name != "web" || drain.Empty() != nil):
				t.Errorf("%+v\n%s", drain, drain.Files.Main())
			}
			wantFile(t, path, c.file)
		})
	}
}

// TestPlanDrainPending refuses while a generation waits to be confirmed, also where the file
// is its config: the apply would refuse, and the file not be edited for nothing.
func TestPlanDrainPending(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := newStore(t)
	current(t, store, old(t, two))
	path := configIn(t, store, two)
	if err := os.MkdirAll(store.Path(paths.Run), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := store.RecordPending(generation.Pending{Number: 9, Until: generation.SinceBoot() + time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := planDrain(t, store, path); err == nil || !strings.Contains(err.Error(), "generation 9 waits to be confirmed") {
		t.Errorf("%v", err)
	}
}

// TestEmpty names the service in which no backend is left that gets new connections.
func TestEmpty(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := newStore(t)
	current(t, store, old(t, oneService))
	drain, err := planDrain(t, store, configIn(t, store, oneService))
	if err != nil || !slices.Equal(drain.Empty(), []string{"web"}) {
		t.Errorf("%+v, %v", drain, err)
	}
}

// wantFile fails unless a file holds a text.
func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s, %v\nis not:\n%s", got, err, want)
	}
}

// wantOwner fails unless a file has these owners and this mode.
func wantOwner(t *testing.T, path string, uid, gid int, mode fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != uid || int(stat.Gid) != gid || info.Mode() != mode {
		t.Errorf("%s belongs to %+v, with mode %v", path, stat, info.Mode())
	}
}

// hostBelow returns the host of some generations, by a variant.
func hostBelow(store generation.Store, variant string) restore.Host {
	return restore.Host{Root: store.Root, Run: program.Exec(), Variant: rules.Variant(variant), Version: "test"}
}

// TestDrainApplies edits the file, behind a link too, and applies it.
func TestDrainApplies(t *testing.T) {
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if !netnstest.IsolateAsRoot(t) {
				return
			}
			store := newStore(t)
			host := hostBelow(store, variant)
			if _, err := host.Apply(t.Context(), parsed(t, two).Request("apply")); err != nil {
				t.Fatal(err)
			}
			path, link := configIn(t, store, two), store.Path("link.toml")
			if err := errors.Join(os.Chown(path, 1234, 5678), os.Symlink("natspread.toml", link)); err != nil {
				t.Fatal(err)
			}
			drain, err := planDrain(t, store, link)
			if err != nil {
				t.Fatal(err)
			}
			result, err := drain.Apply(t.Context(), host)
			if err != nil || !result.Changed || result.Generation != 2 {
				t.Fatalf("%+v, %v", result, err)
			}
			wantFile(t, path, drained)
			wantOwner(t, path, 1234, 5678, 0o640)
			if target, err := os.Readlink(link); err != nil || target != "natspread.toml" {
				t.Errorf("%s, %v", target, err)
			}
			applied, err := store.Current()
			if err != nil || string(applied.Config.Main()) != drained || applied.Command != "drain web 10.0.0.1:80" {
				t.Errorf("%+v, %v", applied.Manifest, err)
			}
			if live, err := drain.Live(t.Context()); err != nil || !slices.Equal(live, []int{0}) {
				t.Errorf("%d, %v", live, err)
			}
		})
	}
}

// failing returns a host whose programs fail, and that does something before.
func failing(store generation.Store, before func()) restore.Host {
	host := hostBelow(store, "nft")
	host.Run = func(context.Context, []byte, string, ...string) ([]byte, error) {
		before()
		return nil, errors.New("no program runs here")
	}
	return host
}

// TestDrainPutsBack puts the file back when the apply fails, with its owners and its mode;
// it leaves alone a file that it did not edit, and says so where it cannot put it back.
func TestDrainPutsBack(t *testing.T) {
	for name, c := range map[string]struct {
		applied, file string
		before        func(path string) // done by the first program that runs
		want          string            // what is in the file then; "" for none
		says          []string
	}{
		"put back":        {two, two, func(string) {}, two, []string{"no program runs here"}},
		"edited since":    {two, two, func(path string) { _ = os.WriteFile(path, []byte("meanwhile"), 0o640) }, "meanwhile", []string{"no program runs here; nothing was changed, but ", " was edited meanwhile and stays as it is"}},
		"not edited":      {two, drained, func(path string) { _ = os.WriteFile(path, []byte("meanwhile"), 0o640) }, "meanwhile", []string{"no program runs here"}},
		"cannot put back": {two, two, func(path string) { _ = os.RemoveAll(filepath.Dir(path)) }, "", []string{"no program runs here", ", but the config is still edited: cannot put it back: "}},
	} {
		t.Run(name, func(t *testing.T) {
			if !netnstest.IsolateAsRoot(t) {
				return
			}
			store := newStore(t)
			current(t, store, old(t, c.applied))
			dir := store.Path("etc")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			path := configIn(t, generation.Store{Root: dir}, c.file)
			if err := os.Chown(path, 1234, 5678); err != nil {
				t.Fatal(err)
			}
			drain, err := planDrain(t, store, path)
			if err != nil {
				t.Fatal(err)
			}
			edited := false
			_, err = drain.Apply(t.Context(), failing(store, func() {
				if text, _ := os.ReadFile(path); string(text) == drained {
					edited = true
				}
				c.before(path)
			}))
			if err == nil || !edited {
				t.Fatalf("edited: %v, %v", edited, err)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("no %q in %v", words, err)
				}
			}
			if c.want != "" {
				wantFile(t, path, c.want)
				wantOwner(t, path, 1234, 5678, 0o640)
			}
			if number, err := store.CurrentNumber(); number != 1 || err != nil {
				t.Errorf("%d, %v", number, err)
			}
		})
	}
}

// TestDrainCannotWrite applies nothing when the file cannot be edited.
func TestDrainCannotWrite(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := newStore(t)
	current(t, store, old(t, two))
	path := configIn(t, store, two)
	drain, err := planDrain(t, store, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = drain.Apply(t.Context(), failing(store, func() { t.Error("a program was run") }))
	if err == nil || !strings.HasSuffix(err.Error(), "; nothing was changed") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestDrainRefused puts the file back when apply refuses, as it does while a generation
// waits to be confirmed.
func TestDrainRefused(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := newStore(t)
	current(t, store, old(t, two))
	path := configIn(t, store, two)
	drain, err := planDrain(t, store, path)
	if err != nil {
		t.Fatal(err)
	}
	pending(t, store, old(t, oneService))
	_, err = drain.Apply(t.Context(), hostBelow(store, "nft"))
	if err == nil || !strings.Contains(err.Error(), "generation 2 waits to be confirmed") {
		t.Errorf("%v", err)
	}
	wantFile(t, path, two)
	wantOwner(t, path, 0, 0, 0o640)
}

// TestPlanUndrain takes drain out again, and gives a backend that natspread 0.1 drained by
// weight = 0 the weight it had before that, or 1.
func TestPlanUndrain(t *testing.T) {
	weighted := strings.Replace(two, `["10.0.0.1:80"`, `[{ address = "10.0.0.1:80", weight = 3 }`, 1)
	zero := strings.Replace(weighted, "3", "0", 1)
	for name, c := range map[string]struct {
		applied    []string
		file, want string
	}{
		"drain = true":           {[]string{drained}, drained, strings.Replace(drained, ", drain = true", "", 1)},
		"not drained":            {[]string{two}, two, two},
		"by weight, with a past": {[]string{weighted, zero}, zero, weighted},
		"by weight, without one": {[]string{zero}, zero, strings.Replace(zero, "0 }", "1 }", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			if !netnstest.Isolate(t) {
				return
			}
			store := newStore(t)
			for _, text := range c.applied {
				current(t, store, old(t, text))
			}
			path := configIn(t, store, c.file)
			plan, err := Load(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			drain, err := PlanDrain(store, plan, Target{Backend: "10.0.0.1"}, false)
			if err != nil || string(drain.Files.Main()) != c.want {
				t.Errorf("%v\n%s", err, drain.Files.Main())
			}
		})
	}
}
