package change

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/configfiles"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// dns is a file of conf.d with a backend that oneService has, too.
const dns = `[[service]]
name = "dns"
listen = "192.0.2.10:53"
backends = ["10.0.0.1:53", "10.0.0.2:53"]
`

// confd writes oneService and dns as a config of two files, and returns its name and that of dns.
func confd(t *testing.T, store generation.Store) (name, second string) {
	t.Helper()
	name = filepath.Join(store.Root, "etc", configfiles.Main)
	second = Place(name, configfiles.Dir+"/dns.toml")
	hosttest.Must(t, os.MkdirAll(filepath.Dir(second), 0o755))
	hosttest.Must(t, os.WriteFile(name, []byte(oneService), 0o640))
	hosttest.Must(t, os.WriteFile(second, []byte(dns), 0o640))
	return name, second
}

// loaded reads a config that must be good.
func loaded(t *testing.T, name string) Plan {
	t.Helper()
	plan, err := Load(name, nil)
	hosttest.Must(t, err)
	return plan
}

// TestDrainSeveralFiles drains a backend of two files, and puts both back when the apply fails;
// when the second cannot be written, also before it. What somebody wrote meanwhile into one of them
// stays.
func TestDrainSeveralFiles(t *testing.T) {
	for name, c := range map[string]struct {
		planned func(second string) // done before the files are written
		running func(second string) // done by the first program that runs
		second  string              // what is in the second file then
		says    []string
	}{
		"put back":         {nil, func(string) {}, dns, []string{"no program runs here"}},
		"edited since":     {nil, func(second string) { _ = os.WriteFile(second, []byte("meanwhile"), 0o640) }, "meanwhile", []string{"no program runs here", "dns.toml was edited meanwhile and stays as it is"}},
		"cannot be edited": {func(second string) { _ = os.Rename(second, second+".away"); _ = os.Mkdir(second, 0o755) }, nil, "", []string{"cannot write ", "dns.toml: it is not a regular file; nothing was changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !netnstest.IsolateAsRoot(t) {
				return
			}
			store := newStore(t)
			file, second := confd(t, store)
			plan := loaded(t, file)
			g := old(t, oneService)
			g.Tables, g.Config = plan.Tables, plan.Files
			current(t, store, g)
			drain, err := PlanDrain(store, plan, Target{Backend: "10.0.0.1"}, true)
			if err != nil || len(drain.Backends) != 2 {
				t.Fatalf("%+v, %v", drain.Backends, err)
			}
			if c.planned != nil {
				c.planned(second)
			}
			edited := 0
			_, err = drain.Apply(t.Context(), failing(store, func() {
				for _, path := range []string{file, second} {
					if text, _ := os.ReadFile(path); strings.Contains(string(text), "drain = true") {
						edited++
					}
				}
				c.running(second)
			}))
			if err == nil || c.running != nil && edited < 2 {
				t.Fatalf("%d were edited: %v", edited, err)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("no %q in %v", words, err)
				}
			}
			wantFile(t, file, oneService)
			if c.second != "" {
				wantFile(t, second, c.second)
			}
		})
	}
}

// TestPutBackAgain puts back the config of a generation of which a killed run had written a part,
// and what cannot be put back is said.
func TestPutBackAgain(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := newStore(t)
	name, second := confd(t, store)
	g := old(t, oneService)
	g.Config = loaded(t, name).Files
	current(t, store, g)
	back, err := store.Read(1)
	hosttest.Must(t, err)
	removed := ""
	for what, c := range map[string]struct {
		spoil          func() error
		kept           int
		changed        bool
		removed, wrong string
	}{
		"as it was":             {func() error { return nil }, 0, false, "", ""},
		"the second is missing": {func() error { return os.Remove(second) }, 0, true, "", ""},
		"all is missing":        {func() error { return os.RemoveAll(filepath.Dir(name)) }, 0, true, "", ""},
		"one more, known":       {func() error { return os.WriteFile(second+"-2.toml", []byte(dns), 0o644) }, 0, true, second + "-2.toml", ""},
		"one more, a link": {func() error {
			return errors.Join(os.WriteFile(store.Path("mine"), []byte("# mine\n"), 0o644), os.Symlink(store.Path("mine"), second+"-2.toml"))
		}, 1, true, second + "-2.toml", ""},
		"edited":      {func() error { return os.WriteFile(second, []byte("# mine\n"), 0o640) }, 1, true, "", ""},
		"a directory": {func() error { return os.Mkdir(second+"-3.toml", 0o755) }, 0, false, "", "it is a directory"},
	} {
		removed = ""
		hosttest.Must(t, c.spoil())
		kept, changed, err := PutBack(store, name, back, func(file string) { removed += file })
		if len(kept) != c.kept || changed != c.changed || removed != c.removed || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: kept %q, changed %v, removed %q, %v", what, kept, changed, removed, err)
		}
		_ = os.Remove(second + "-3.toml")
		if now := loaded(t, name); !back.MadeFrom(now.Files) {
			t.Errorf("%s: put back is %q", what, now.Files)
		}
	}
	wantFile(t, store.Path("mine"), "# mine\n")
}

// TestPathsBelow leaves out what is not below the root.
func TestPathsBelow(t *testing.T) {
	files := configfiles.Set{{Path: "/image/etc/natspread.toml"}, {Path: "/image/etc/conf.d/a.toml"}, {Path: "/elsewhere/b.toml"}}
	if got := strings.Join(PathsBelow("/image", "/image/etc/natspread.toml", files), " "); got != "etc/natspread.toml etc/conf.d etc/natspread.toml etc/conf.d/a.toml" {
		t.Errorf("below it are %s", got)
	}
	if got := PathsBelow("/", "-", configfiles.Alone("stdin", nil)); got != nil {
		t.Errorf("of standard input %q", got)
	}
}
