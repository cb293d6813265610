package arrows

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is what the import paths of our rooms begin with.
const module = "natspread/"

// listed is what go list says about a package.
type listed struct {
	ImportPath string
	Imports    []string
}

// house is every package of ours, and all that these need, by import path.
type house map[string]listed

// root is the module's.
const root = "../../.."

// load asks go list about everything below the module's root.
func load(t *testing.T) house {
	t.Helper()
	lookAround(t)
	command := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "./...")
	command.Dir = root
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("cannot list the packages: %v", err)
	}
	all := house{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("cannot read what go list says: %v", err)
		}
		all[p.ImportPath] = p
	}
}

// lookAround opens every directory of the house. Whether a result may come from
// the cache go test decides by what the test itself opened, not by what its
// programs read; without this an arrow could break unseen.
func lookAround(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // what another test made and took away again
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rooms returns the import paths of our packages, less the module's name.
func (h house) rooms() []string {
	var rooms []string
	for importPath := range h {
		if room, ours := strings.CutPrefix(importPath, module); ours {
			rooms = append(rooms, room)
		}
	}
	slices.Sort(rooms)
	return rooms
}

// reach returns all that a package needs, through others too, itself included.
func (h house) reach(importPath string) map[string]bool {
	seen := map[string]bool{importPath: true}
	for todo := []string{importPath}; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		for _, need := range h[next].Imports {
			if !seen[need] {
				seen[need] = true
				todo = append(todo, need)
			}
		}
	}
	return seen
}

// TestRooms names, for each room that must not know the others, all the rooms
// that it may need. That restore and units know neither config nor render is the
// most important arrow: a config that no longer parses cannot break a boot.
func TestRooms(t *testing.T) {
	all := load(t)
	for room, allowed := range map[string][]string{
		"internal/rules":           nil,
		"internal/config":          {"internal/suggest"},
		"render":                   {"internal/config", "internal/rules", "internal/suggest"},
		"restore":                  {"internal/rules", "internal/atomicfile", "internal/conntrack"},
		"units":                    {"internal/atomicfile"},
		"internal/doctor":          {"internal/config", "internal/suggest", "internal/rules", "internal/conntrack"},
		"internal/atomicfile":      nil,
		"internal/conntrack":       {"internal/rules"},
		"internal/suggest":         nil,
		"internal/netns":           nil,
		"internal/test/configtest": {"internal/config", "internal/suggest", "internal/test/testsize"},
		"internal/test/testsize":   nil,
		"internal/lab/benchnet":    {"internal/config", "internal/rules", "render", "internal/suggest", "internal/netns"},
		"cmd/natspread":            {"internal/config", "internal/doctor", "internal/rules", "render", "restore", "units", "internal/atomicfile", "internal/conntrack", "internal/suggest", "internal/trace"},
	} {
		if _, found := all[module+room]; !found {
			t.Errorf("there is no room %s", room)
		}
		for need := range all.reach(module + room) {
			if other, ours := strings.CutPrefix(need, module); ours && other != room && !slices.Contains(allowed, other) {
				t.Errorf("%s needs %s", room, other)
			}
		}
	}
}

// TestLibraries names, for each library, the only rooms that may import it
// themselves; a pattern as in path.Match. A library that is not named here may be
// imported by none.
func TestLibraries(t *testing.T) {
	libraries := map[string][]string{
		"github.com/urfave/cli/v2":                 {"cmd/natspread"},
		"github.com/rogpeppe/go-internal/diff":     {"cmd/natspread"},
		"github.com/pelletier/go-toml/v2/unstable": {"internal/config"},
		"github.com/google/renameio/v2":            {"internal/atomicfile"},
		"github.com/coreos/go-systemd/v22/dbus":    {"units"},
		"github.com/coreos/go-systemd/v22/unit":    {"units"},
		"github.com/godbus/dbus/v5":                {"units"},
		"github.com/vishvananda/netlink":           {"internal/doctor", "restore", "internal/test/netnstest"},
		"github.com/vishvananda/netlink/nl":        {"internal/conntrack"},
		"golang.org/x/sys/unix":                    {"internal/doctor", "restore", "cmd/natspread", "internal/*", "internal/test/*", "internal/lab/*"},
		"pgregory.net/rapid":                       {"internal/test/configtest"},
		"os/exec":                                  {"restore", "units", "cmd/natspread", "internal/*", "internal/test/*", "internal/lab/*"},
	}
	all := load(t)
	for _, room := range all.rooms() {
		for _, need := range all[module+room].Imports {
			allowed, named := libraries[need]
			foreign := strings.Contains(strings.Split(need, "/")[0], ".")
			if (named || foreign) && !slices.ContainsFunc(allowed, func(pattern string) bool { return matches(t, pattern, room) }) {
				t.Errorf("%s imports %s", room, need)
			}
		}
	}
}

// matches tells whether a room is one of a pattern.
func matches(t *testing.T, pattern, room string) bool {
	t.Helper()
	matched, err := path.Match(pattern, room)
	if err != nil {
		t.Fatal(err)
	}
	return matched
}

// TestPure keeps processes, clocks, the network and chance out of the rooms that
// turn a value into text, and files out of all of them but config, which reads one.
func TestPure(t *testing.T) {
	impure := []string{"os/exec", "os/signal", "time", "net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "runtime", "unsafe", "log"}
	files := []string{"os", "io/fs", "path/filepath", "syscall", "embed"}
	all := load(t)
	for room, forbidden := range map[string][]string{
		"internal/rules":  slices.Concat(files, impure),
		"render":          slices.Concat(files, impure),
		"internal/config": impure,
	} {
		for _, need := range all[module+room].Imports {
			if slices.Contains(forbidden, need) {
				t.Errorf("%s imports %s", room, need)
			}
		}
	}
}
