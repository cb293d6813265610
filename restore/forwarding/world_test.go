package forwarding

import (
	"encoding/json"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// world is a host with one family's switches: a directory that behaves as the kernel does,
// or the kernel itself.
type world struct {
	Switches
	family rules.Family
	kernel kernel
	opened []Opened // by the last Set
	states States   // before the last trial

	changes int            // of files, since it was set to 0
	fault   func(int) bool // tells whether a change fails, by its number
}

// kernel is what changes interfaces and switches.
type kernel interface {
	set(t *testing.T, name, value string) // a name below /proc/sys
	link(t *testing.T, name string)
	unlink(t *testing.T, name string)
	rename(t *testing.T, from, to string)
}

// errFault is how a change fails.
var errFault = errors.New("fault")

// newWorld returns a host with the interfaces eth0 and eth1 whose records are in a
// directory of their own.
func newWorld(t *testing.T, family rules.Family, make func(t *testing.T, w *world)) *world {
	t.Helper()
	w := &world{Switches: Switches{Run: memory(t), Namespace: "boot 1"}, family: family}
	make(t, w)
	change := w.change
	w.change = func(path string, do func() error) error {
		if w.changes++; w.fault != nil && w.fault(w.changes) {
			return errFault
		}
		if change == nil || !strings.HasPrefix(path, w.Proc) {
			return do()
		}
		return change(path, do)
	}
	for _, name := range []string{"eth0", "eth1"} {
		if !slices.Contains(w.linkNames(t), name) {
			w.kernel.link(t, name)
		}
	}
	return w
}

// fake is a directory that behaves as the kernel does.
type fake struct {
	proc  string
	links []net.Interface
	last  int // the index of the newest interface
}

// makeFake gives a host a fake kernel.
func makeFake(t *testing.T, w *world) {
	k := &fake{proc: memory(t)}
	w.kernel, w.Proc = k, k.proc
	w.links = func() ([]net.Interface, error) { return k.links, nil }
	w.change = k.write
	for _, family := range rules.Families() {
		put(t, filepath.Join(k.proc, hostSwitch(family).Name), "0")
		put(t, filepath.Join(k.proc, forwardingOf(family, "default")), "0")
	}
	put(t, filepath.Join(k.proc, redirects), "1")
	k.link(t, "lo")
}

// memory returns a directory of the test's own, in memory where there is a place for it:
// records are synced, and a disk takes its time for thousands of them.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "natspread")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// put makes a file.
func put(t *testing.T, path, value string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(value+"\n"), 0o600))
}

// write changes a switch, and those that the kernel changes along with it.
func (k *fake) write(path string, do func() error) error {
	before, _ := os.ReadFile(path)
	if err := do(); err != nil {
		return err
	}
	after, err := os.ReadFile(path)
	four := path == filepath.Join(k.proc, hostSwitch(rules.IPv4).Name)
	six := path == filepath.Join(k.proc, hostSwitch(rules.IPv6).Name)
	if err != nil || !six && (!four || string(before) == string(after)) {
		return err
	}
	pattern := "net/ipv6/conf/*/forwarding"
	if four {
		pattern = "net/ipv4/conf/*/forwarding"
		accept := "0"
		if string(after) == "0\n" {
			accept = "1"
		}
		err = os.WriteFile(filepath.Join(k.proc, redirects), []byte(accept+"\n"), 0)
	}
	files, _ := filepath.Glob(filepath.Join(k.proc, pattern))
	for _, file := range files {
		err = errors.Join(err, os.WriteFile(file, after, 0))
	}
	return err
}

func (k *fake) set(t *testing.T, name, value string) {
	t.Helper()
	path := filepath.Join(k.proc, name)
	must(t, k.write(path, func() error { return os.WriteFile(path, []byte(value+"\n"), 0) }))
}

func (k *fake) link(t *testing.T, name string) {
	t.Helper()
	k.last++
	k.links = append(k.links, net.Interface{Index: k.last, Name: name})
	for _, family := range rules.Families() {
		value, err := os.ReadFile(filepath.Join(k.proc, forwardingOf(family, "default")))
		must(t, err)
		put(t, filepath.Join(k.proc, forwardingOf(family, name)), strings.TrimSpace(string(value)))
	}
}

func (k *fake) unlink(t *testing.T, name string) {
	t.Helper()
	k.links = slices.DeleteFunc(k.links, func(link net.Interface) bool { return link.Name == name })
	for _, family := range rules.Families() {
		must(t, os.RemoveAll(filepath.Dir(filepath.Join(k.proc, forwardingOf(family, name)))))
	}
}

func (k *fake) rename(t *testing.T, from, to string) {
	t.Helper()
	for i := range k.links {
		if k.links[i].Name == from {
			k.links[i].Name = to
		}
	}
	for _, family := range rules.Families() {
		must(t, os.Rename(filepath.Dir(filepath.Join(k.proc, forwardingOf(family, from))), filepath.Dir(filepath.Join(k.proc, forwardingOf(family, to)))))
	}
}

// real is the kernel, in the test's own network namespace.
type real struct{}

// makeReal gives a host the real kernel, as a new one finds it.
func makeReal(t *testing.T, w *world) {
	w.kernel, w.Proc, w.links = real{}, "/proc/sys", net.Interfaces
	for _, name := range w.linkNames(t) { // of the host before
		if name != "eth0" && name != "eth1" {
			real{}.unlink(t, name)
		}
	}
	for _, family := range rules.Families() {
		real{}.set(t, hostSwitch(family).Name, "1") // so that 0 is another value, and spreads
		real{}.set(t, hostSwitch(family).Name, "0")
		real{}.set(t, forwardingOf(family, "default"), "0")
	}
	real{}.set(t, redirects, "1")
}

func (real) set(t *testing.T, name, value string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0))
}

// link makes a bridge: of all kinds of interfaces the one that needs no other.
func (real) link(t *testing.T, name string) {
	t.Helper()
	netnstest.Self().Command(t, "", "ip", "link", "add", name, "type", "bridge")
}

func (real) unlink(t *testing.T, name string) {
	t.Helper()
	netnstest.Self().Command(t, "", "ip", "link", "del", name)
}

func (real) rename(t *testing.T, from, to string) {
	t.Helper()
	netnstest.Self().Command(t, "", "ip", "link", "set", from, "name", to)
}

// linkNames returns the names of the interfaces that a test made.
func (w *world) linkNames(t *testing.T) []string {
	t.Helper()
	links, err := w.links()
	must(t, err)
	var names []string
	for _, link := range links {
		if strings.HasPrefix(link.Name, "eth") || strings.HasPrefix(link.Name, "lan") {
			names = append(names, link.Name)
		}
	}
	return names
}

// names returns the switches of the family by the names that stories use.
func (w *world) names(t *testing.T) map[string]string {
	t.Helper()
	names := map[string]string{"all": hostSwitch(w.family).Name, "default": forwardingOf(w.family, "default")}
	if w.family == rules.IPv4 {
		names["redirects"] = redirects
	}
	for _, name := range w.linkNames(t) {
		names[name] = forwardingOf(w.family, name)
	}
	return names
}

// shown returns the values of all switches, as a story says them.
func (w *world) shown(t *testing.T) string {
	t.Helper()
	names := w.names(t)
	var words []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		value, err := w.read(ID{Name: names[name]})
		must(t, err)
		words = append(words, name+"="+value)
	}
	return strings.Join(words, " ")
}

// run does what a story says: its steps have semicolons between them.
//
//	all=1 eth0=0       somebody sets switches: the host's own and an interface's
//	add eth2           an interface comes; del and rename likewise
//	apply, stop        Set with rules of the family, and without
//	try, try-without   the same for a time
//	revert             back to before the last trial
//	want all=1 eth0=0  asks for values
//	opens eth0,eth1    asks for what the last Set opened; - for nothing; opensipv4: of IPv4
//	forgotten          asks that nothing is kept
func (w *world) run(t *testing.T, story string) {
	t.Helper()
	for step := range strings.SplitSeq(story, ";") {
		words := strings.Fields(step)
		if err := w.step(t, words); err != nil {
			t.Errorf("%s: %v", strings.Join(words, " "), err)
		}
	}
}

// step does one step of a story.
func (w *world) step(t *testing.T, words []string) (err error) {
	t.Helper()
	switch words[0] {
	case "add":
		w.kernel.link(t, words[1])
	case "del":
		w.kernel.unlink(t, words[1])
	case "rename":
		w.kernel.rename(t, words[1], words[2])
	case "apply":
		w.opened, err = w.Set(list(w.family))
	case "stop":
		_, err = w.Set(rules.NoTables())
	case "try":
		return w.try(t, list(w.family))
	case "try-without":
		return w.try(t, rules.NoTables())
	case "revert":
		return w.Revert(w.states)
	case "want":
		w.want(t, words[1:])
	case "opens", "opens" + w.family.String():
		w.wantOpened(t, words[1])
	case "opensipv4", "opensipv6": // the other family's
	case "forgotten":
		if _, err := os.Lstat(w.file(w.family)); err == nil {
			t.Error("the record is still there")
		}
	default:
		for _, word := range words {
			name, value, _ := strings.Cut(word, "=")
			file, known := w.names(t)[name]
			switch {
			case known:
				w.kernel.set(t, file, value)
			case !w.isMissing(name):
				t.Errorf("there is no switch %s", word)
			}
		}
	}
	return err
}

// try is a Set whose states are kept as a trial keeps them.
func (w *world) try(t *testing.T, tables rules.Tables) error {
	t.Helper()
	states, err := w.States()
	must(t, err)
	text, err := json.Marshal(states)
	must(t, err)
	w.states = States{}
	must(t, json.Unmarshal(text, &w.states))
	w.opened, err = w.Set(tables)
	return err
}

// want compares values with those that a story says.
func (w *world) want(t *testing.T, words []string) {
	t.Helper()
	names := w.names(t)
	for _, word := range words {
		name, want, _ := strings.Cut(word, "=")
		if _, known := names[name]; !known {
			if !w.isMissing(name) {
				t.Errorf("there is no switch %s", word)
			}
			continue
		}
		if value, err := w.read(ID{Name: names[name]}); err != nil || value != want {
			t.Errorf("%s is %s, want %s: %s; %v", name, value, want, w.shown(t), err)
		}
	}
}

// isMissing tells whether a switch that stories name is one that the family does not have.
func (w *world) isMissing(name string) bool { return name == "redirects" && w.family == rules.IPv6 }

// wantOpened compares the interfaces that were opened.
func (w *world) wantOpened(t *testing.T, want string) {
	t.Helper()
	got := "-"
	for _, opened := range w.opened {
		got = strings.Join(opened.Links, ",")
	}
	if got != want {
		t.Errorf("opened %s, want %s", got, want)
	}
}

// eachWorld runs a test with both families, on a fake kernel and on the real one.
func eachWorld(t *testing.T, test func(t *testing.T, newWorld func(t *testing.T) *world)) {
	t.Helper()
	each := func(t *testing.T, make func(t *testing.T, w *world)) {
		for _, family := range rules.Families() {
			t.Run(family.String(), func(t *testing.T) {
				test(t, func(t *testing.T) *world { return newWorld(t, family, make) })
			})
		}
	}
	t.Run("fake", func(t *testing.T) { each(t, makeFake) })
	t.Run("kernel", func(t *testing.T) {
		if netnstest.Isolate(t) {
			each(t, makeReal)
		}
	})
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kept returns what is kept, as text.
func (w *world) kept(t *testing.T) string {
	t.Helper()
	record, err := w.record(w.family)
	must(t, err)
	text, err := json.Marshal(record)
	must(t, err)
	return string(text)
}

// list returns tables that have something in the families named.
func list(families ...rules.Family) rules.Tables {
	tables := rules.NoTables()
	for _, family := range families {
		some := rules.Table{Family: family, Chains: []rules.Chain{{Name: rules.ServicePre}}}
		*tables.Places()[family] = some
	}
	return tables
}
