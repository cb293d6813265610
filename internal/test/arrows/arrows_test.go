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
	"regexp"
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
	Export     string // the file that the compiler wrote of what it exports
}

// house is every package of ours, and all that these need, by import path.
type house map[string]listed

// root is the module's.
const root = "../../.."

// load asks go list about everything below the module's root.
func load(t *testing.T) house {
	t.Helper()
	return list(t, "-json=ImportPath,Imports", "./...")
}

// list asks go list about some packages, and all that they need.
func list(t *testing.T, args ...string) house {
	t.Helper()
	lookAround(t)
	command := exec.Command("go", append([]string{"list", "-deps"}, args...)...)
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

// tools are the small rooms that know none of the others.
func tools() []string {
	return []string{"docs/man", "internal/atomicfile", "internal/completion", "internal/completion/scripts", "internal/hostfiles", "internal/namespace", "internal/paths", "internal/program", "internal/slots", "internal/screen", "internal/subnet", "internal/suggest", "internal/text", "internal/nethost", "internal/traffic", "internal/configfiles"}
}

// arrows names, for each room of the product, all the others that it may import itself. Of
// the tools it names those that the room uses: one more is a decision, too.
func arrows() map[string][]string {
	below := []string{"restore/iptables", "restore/generation", "restore/flows", "restore/forwarding", "internal/rules"}
	all := map[string][]string{
		"cmd/natspread": {
			"internal/change", "internal/report", "restore", "restore/generation", "restore/iptables", "units", "internal/config", "internal/config/edit", "internal/rules", "internal/selftest", "internal/trace", "internal/watcher", "internal/adopt", "internal/adopt/host",
			"docs/man", "internal/cmdline", "internal/completion/scripts", "internal/console", "internal/explain", "internal/failure", "internal/image", "internal/install", "internal/trial", "internal/atomicfile", "internal/namespace", "internal/paths", "internal/program", "internal/suggest", "internal/terminal", "internal/text", "internal/configfiles",
		},
		"internal/cmdline":         {"internal/suggest", "internal/text"},
		"internal/change":          {"restore", "restore/generation", "restore/flows", "render", "internal/config", "internal/config/edit", "internal/health", "internal/rules", "internal/atomicfile", "internal/paths", "internal/suggest", "internal/text", "internal/configfiles"},
		"internal/report":          {"internal/adopt", "internal/adopt/bootfiles", "internal/adopt/walk", "restore", "restore/generation", "restore/flows", "restore/iptables", "internal/doctor", "internal/doctor/finding", "render", "internal/compare", "internal/config", "internal/health", "internal/rules", "internal/slots", "internal/atomicfile", "internal/paths", "internal/screen", "internal/suggest", "internal/text", "internal/configfiles"},
		"restore":                  append(below, "internal/atomicfile", "internal/namespace", "internal/paths", "internal/program", "internal/configfiles"),
		"restore/iptables":         {"restore/nftables", "internal/rules", "internal/nethost", "internal/program"},
		"restore/nftables":         {"internal/rules", "internal/program"},
		"restore/generation":       {"restore/forwarding", "internal/rules", "internal/atomicfile", "internal/namespace", "internal/paths", "internal/configfiles"},
		"restore/flows":            {"internal/rules", "internal/program"},
		"restore/forwarding":       {"internal/rules", "internal/atomicfile", "internal/namespace"},
		"render":                   {"internal/config", "internal/rules", "internal/slots"},
		"internal/trace":           {"internal/rules", "internal/slots", "internal/screen", "internal/text"},
		"internal/packetpath":      {"internal/rules", "internal/subnet"},
		"internal/adopt":           {"internal/adopt/walk", "internal/config", "render", "internal/rules", "internal/text", "internal/subnet"},
		"internal/adopt/walk":      {"internal/rules", "internal/subnet"},
		"internal/adopt/bootfiles": {"internal/adopt/walk", "internal/config", "internal/rules", "internal/atomicfile", "internal/hostfiles"},
		"internal/adopt/host":      {"internal/adopt", "internal/screen", "internal/adopt/bootfiles", "internal/adopt/walk", "internal/rules", "restore/iptables", "internal/atomicfile", "internal/program"},
		"internal/doctor":          {"internal/doctor/asked", "internal/doctor/astray", "internal/doctor/finding", "internal/doctor/inconfig", "internal/doctor/portuse", "internal/doctor/travel", "internal/text", "internal/config", "internal/hostfiles", "internal/network", "internal/packetpath", "internal/rules", "restore/flows", "internal/paths"},
		"internal/doctor/asked":    {"internal/text", "internal/config", "internal/health", "internal/probe"},
		"internal/doctor/astray":   {"internal/doctor/inconfig", "internal/text", "internal/config", "internal/network", "internal/rules", "restore/flows"},
		"internal/doctor/finding":  {},
		"internal/doctor/inconfig": {"internal/config"},
		"internal/doctor/portuse":  {"restore/flows"},
		"internal/doctor/travel":   {"internal/config", "internal/network", "internal/packetpath", "internal/rules"},
		"internal/network":         {"internal/rules"},
		"units":                    {"internal/atomicfile", "internal/paths", "internal/program"},
		"internal/health":          {"internal/config"},
		"internal/failure":         {"restore", "restore/iptables", "units", "internal/config", "internal/screen", "internal/text"},
		"internal/trial":           {"units", "internal/namespace", "internal/paths", "internal/program"},
		"internal/console":         {"internal/screen", "internal/terminal", "internal/text"},
		"internal/terminal":        {"internal/screen"},
		"internal/explain":         {"internal/config", "internal/rules", "internal/trace"},
		"internal/image":           {"internal/atomicfile", "internal/program"},
		"internal/install":         {"units", "internal/image", "internal/rules", "internal/atomicfile", "internal/paths", "internal/program", "internal/configfiles"},
		"internal/probe":           nil,
		"internal/watcher":         {"internal/config", "internal/health", "internal/probe", "internal/rules", "render", "restore", "restore/flows", "restore/generation", "restore/iptables", "internal/paths", "internal/program", "internal/screen", "internal/text"},
		"internal/compare":         {"internal/config", "internal/text"},
		"internal/config":          {"internal/config/audience", "internal/config/ranges", "internal/config/endpoint", "internal/config/field", "internal/config/habits", "internal/config/meant", "internal/config/source", "internal/config/value", "internal/slots", "internal/suggest", "internal/text", "internal/configfiles", "internal/subnet"},
		"internal/config/edit":     {"internal/config", "internal/config/source", "internal/config/value", "internal/suggest", "internal/configfiles", "internal/text"},
		"internal/config/endpoint": {"internal/config/source", "internal/config/value", "internal/config/habits"},
		"internal/config/field":    {"internal/config/source", "internal/config/value", "internal/suggest", "internal/text"},
		"internal/config/habits":   {"internal/suggest"},
		"internal/config/meant":    {"internal/config/field", "internal/config/habits", "internal/config/source", "internal/config/value", "internal/suggest"},
		"internal/config/source":   {"internal/configfiles"},
		"internal/config/audience": {"internal/config/value", "internal/subnet"},
		"internal/config/ranges":   nil,
		"internal/config/value":    {"internal/config/source", "internal/suggest"},
		"internal/rules":           {"internal/slots"},
		"internal/selftest":        {"internal/config", "internal/rules", "restore/iptables", "internal/nethost", "internal/program", "internal/screen", "internal/text", "internal/traffic", "internal/subnet"},
	}
	for _, tool := range tools() {
		all[tool] = nil
	}
	return all
}

// beside tells whether a room is no part of the product: what tests it, what measures and
// tries it, and what a Makefile runs.
func beside(room string) bool {
	return strings.HasPrefix(room, "internal/test/") || strings.HasPrefix(room, "internal/lab/") || room == "units/print"
}

// TestRooms draws the product: each room imports those that stand for it in arrows, and no
// room is missing there. What is beside the product may use all of it, and no room of the
// product uses that.
func TestRooms(t *testing.T) {
	all := load(t)
	for room := range arrows() {
		if _, found := all[module+room]; !found {
			t.Errorf("there is no room %s", room)
		}
	}
	for _, room := range all.rooms() {
		if beside(room) {
			continue
		}
		allowed, drawn := arrows()[room]
		if !drawn {
			t.Errorf("room %s is in no table: say what it may import", room)
		}
		for _, other := range allowed {
			if !slices.Contains(all[module+room].Imports, module+other) {
				t.Errorf("%s may import %s, and does not", room, other)
			}
		}
		for _, need := range all[module+room].Imports {
			if other, ours := strings.CutPrefix(need, module); ours && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s", room, other)
			}
		}
	}
}

// TestBeside holds to their rooms those beside the product that the product's own tests
// import: one that knew more would make a circle there.
func TestBeside(t *testing.T) {
	all := load(t)
	for room, allowed := range map[string][]string{
		"internal/test/configtest": {"internal/config", "internal/config/audience", "internal/config/ranges", "internal/config/endpoint", "internal/config/field", "internal/config/habits", "internal/config/meant", "internal/config/source", "internal/config/value", "internal/slots", "internal/suggest", "internal/text", "internal/configfiles", "internal/subnet"},
		"internal/test/netnstest":  {"internal/nethost", "internal/traffic"},
		"internal/lab/benchnet":    {"internal/config", "internal/config/audience", "internal/config/ranges", "internal/config/endpoint", "internal/config/field", "internal/config/habits", "internal/config/meant", "internal/config/source", "internal/config/value", "internal/rules", "render", "internal/slots", "internal/suggest", "internal/text", "internal/nethost", "internal/lab/netns", "internal/lab/plot", "internal/configfiles", "internal/subnet"},
		"internal/lab/plot":        {},
		"units/print":              {"units", "internal/atomicfile", "internal/paths", "internal/program"},
	} {
		if _, found := all[module+room]; !found {
			t.Errorf("there is no room %s", room)
		}
		for need := range all.reach(module + room) {
			if other, ours := strings.CutPrefix(need, module); ours && other != room && !slices.Contains(allowed, other) && !strings.HasPrefix(other, "internal/test/") {
				t.Errorf("%s needs %s", room, other)
			}
		}
	}
}

// TestBoot is the most important arrow: what loads the rules at boot knows, through others
// too, neither config nor render, nor anybody who does. So a config that no longer parses
// cannot break a boot.
func TestBoot(t *testing.T) {
	all := load(t)
	boot := 0
	for _, room := range all.rooms() {
		if !loadsAtBoot(room) {
			continue
		}
		boot++
		reach := all.reach(module + room)
		for _, other := range []string{"internal/config", "internal/config/source", "render", "internal/change", "internal/report", "internal/doctor", "internal/trace", "cmd/natspread"} {
			if reach[module+other] {
				t.Errorf("%s needs %s", room, other)
			}
		}
	}
	if boot != 7 {
		t.Errorf("%d rooms load the rules at boot", boot)
	}
}

// loadsAtBoot tells whether a room is part of what loads the rules at boot, or installs it.
func loadsAtBoot(room string) bool {
	return room == "restore" || strings.HasPrefix(room, "restore/") || room == "units"
}

// TestLibraries names, for each library, the only rooms that may import it
// themselves; a pattern as in path.Match. A library that is not named here may be
// imported by none.
func TestLibraries(t *testing.T) {
	libraries := map[string][]string{
		"github.com/urfave/cli/v2":                 {"cmd/natspread", "internal/cmdline"},
		"github.com/rogpeppe/go-internal/diff":     {"internal/report", "internal/test/*"},
		"github.com/rogpeppe/go-internal/txtar":    {"internal/test/*"},
		"github.com/google/go-cmp/cmp":             {"internal/test/*"},
		"github.com/pelletier/go-toml/v2/unstable": {"internal/config/source"},
		"github.com/google/renameio/v2":            {"internal/atomicfile"},
		"github.com/coreos/go-systemd/v22/daemon":  {"internal/watcher"},
		"github.com/coreos/go-systemd/v22/dbus":    {"units"},
		"github.com/coreos/go-systemd/v22/unit":    {"units"},
		"github.com/godbus/dbus/v5":                {"units"},
		"github.com/vishvananda/netlink":           {"internal/nethost", "internal/network", "restore/flows", "restore/iptables", "internal/test/netnstest"},
		"github.com/vishvananda/netlink/nl":        {"internal/network", "restore/flows", "internal/test/netnstest"},
		"golang.org/x/sys/unix":                    {"internal/atomicfile", "internal/network", "internal/program", "restore", "restore/*", "internal/terminal", "internal/namespace", "internal/test/*", "internal/lab/*", "internal/nethost", "internal/traffic"},
		"pgregory.net/rapid":                       {"internal/test/configtest"},
		"os/exec":                                  {"internal/program", "cmd/natspread", "internal/test/*", "internal/lab/*"},
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

// TestPure keeps processes, clocks, the network, chance and files out of the rooms that turn
// a value into another. The example config is part of config's own program text.
func TestPure(t *testing.T) {
	impure := []string{"os/exec", "os/signal", "time", "net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "runtime", "unsafe", "log"}
	files := []string{"os", "io/fs", "path/filepath", "syscall", "embed"}
	but := func(forbidden []string, allowed string) []string {
		return slices.DeleteFunc(slices.Clone(forbidden), func(library string) bool { return library == allowed })
	}
	all := load(t)
	for room, forbidden := range map[string][]string{
		"internal/rules":           slices.Concat(files, impure),
		"render":                   slices.Concat(files, impure),
		"internal/trace":           slices.Concat(files, impure),
		"internal/packetpath":      slices.Concat(files, impure),
		"internal/adopt":           slices.Concat(files, impure),
		"internal/adopt/walk":      slices.Concat(files, impure),
		"internal/compare":         slices.Concat(files, impure),
		"internal/config":          slices.Concat(but(files, "embed"), but(impure, "time")), // the example; how long a check waits
		"internal/config/edit":     slices.Concat(files, impure),
		"internal/config/endpoint": slices.Concat(files, impure),
		"internal/config/field":    slices.Concat(files, but(impure, "time")),
		"internal/config/source":   slices.Concat(files, impure),
		"internal/config/value":    slices.Concat(files, impure),
		"internal/config/audience": slices.Concat(files, impure),
		"internal/config/ranges":   slices.Concat(files, impure),
		"internal/config/habits":   slices.Concat(files, impure),
		"internal/config/meant":    slices.Concat(files, impure),
		"internal/health":          slices.Concat(files, but(impure, "time")), // it is told what time it is
		"internal/text":            slices.Concat(files, but(impure, "time")), // it writes durations
		"internal/slots":           slices.Concat(files, impure),
		"internal/suggest":         slices.Concat(files, impure),
		"internal/subnet":          slices.Concat(files, impure),
		"internal/paths":           slices.Concat(files, impure),
		"internal/completion":      slices.Concat(files, impure),
		"internal/configfiles":     slices.Concat(files, impure),
	} {
		if _, found := all[module+room]; !found {
			t.Errorf("there is no room %s", room)
		}
		for _, need := range all[module+room].Imports {
			if slices.Contains(forbidden, need) {
				t.Errorf("%s imports %s", room, need)
			}
		}
	}
}

// TestNoClock keeps clocks and timers out of the rooms that may import time: they write times,
// and are told them.
func TestNoClock(t *testing.T) {
	clock := regexp.MustCompile(`\btime\.(Now|Since|Until|After|AfterFunc|NewTimer|NewTicker|Tick|Sleep)\b`)
	for _, room := range []string{"internal/config", "internal/config/field", "internal/health", "internal/text"} {
		files, err := filepath.Glob(filepath.Join(root, room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no file: %v", room, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if found := clock.Find(text); found != nil && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s uses %s", file, found)
			}
		}
	}
}
