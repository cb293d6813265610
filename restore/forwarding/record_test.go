package forwarding

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// TestRecordOf01 understands what natspread 0.1 left: the value of the host's own switch.
// Of the others nothing is known, so they go where the kernel moves them.
func TestRecordOf01(t *testing.T) {
	for _, c := range []struct{ name, text, story string }{
		{"off before", "0\n", "apply; opens -; want all=1; all=1; stop; want all=0 redirects=1 default=0 eth0=0 eth1=0; forgotten"},
		{"on before", "1\n", "apply; stop; want all=1 eth0=1; forgotten"},
		{"one is off", "0\n", "eth0=0; stop; want all=0 eth0=0 eth1=0"},
		{"switched off by others", "1\n", "all=0; stop; want all=0; forgotten"},
		{"switched off by others, and on again", "1\n", "all=0 eth0=1; apply; opensipv4 eth1; stop; want all=0 eth0=1 eth1=0; forgotten"},
		{"a trial without", "0\n", "eth0=0; try-without; want all=0; revert; want all=1 eth0=0 eth1=1; stop; want all=0; forgotten"},
		{"a trial", "0\n", "eth0=0; try; opens -; revert; want all=1 eth0=0; stop; want all=0; forgotten"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachWorld(t, func(t *testing.T, newWorld func(t *testing.T) *world) {
				w := newWorld(t)
				w.run(t, "all=1")
				must(t, os.WriteFile(w.file(w.family), []byte(c.text), 0o600))
				w.run(t, c.story)
			})
		})
	}
}

// TestStatesOf01 reads a trial of natspread 0.1, and ends it.
func TestStatesOf01(t *testing.T) {
	for _, c := range []struct{ name, text, story string }{
		{"nothing kept", `[{"value":"0\n","kept":null},{"value":"0\n","kept":null}]`, "revert; want all=0 eth0=0; forgotten"},
		{"kept", `[{"value":"1\n","kept":"0\n"},{"value":"1\n","kept":"0\n"}]`, "revert; want all=1 eth0=1; stop; want all=0 eth0=0; forgotten"},
		{"no such families", `[null,null]`, "revert; want all=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, family := range rules.Families() {
				w := newWorld(t, family, makeFake)
				w.run(t, "all=1")
				must(t, os.WriteFile(w.file(family), []byte("0\n"), 0o600))
				must(t, json.Unmarshal([]byte(c.text), &w.states))
				w.run(t, c.story)
			}
		})
	}
	var states States
	if err := json.Unmarshal([]byte(`[1]`), &states); err == nil {
		t.Error("no error")
	}
}

// TestOtherNamespace leaves alone what is kept of another network namespace, and drops
// what is kept of another boot.
func TestOtherNamespace(t *testing.T) {
	mine := newWorld(t, rules.IPv4, makeFake)
	other := newWorld(t, rules.IPv4, makeFake)
	late := newWorld(t, rules.IPv4, makeFake)
	other.Namespace, late.Namespace = "boot 2", "later 1"
	other.Run, late.Run = mine.Run, mine.Run

	mine.run(t, "eth0=1; apply")
	other.run(t, "stop; want all=0; all=1 eth1=0; stop; want all=1 eth1=0; all=0; eth1=1; apply; want all=1")
	mine.run(t, "apply; opens -; want all=1; stop; want all=0 eth0=1 eth1=0")
	other.run(t, "stop; want all=0 eth0=0 eth1=1; forgotten")
	mine.run(t, "apply")
	late.run(t, "all=1; stop; want all=1; all=0; eth0=1; apply")
	if record, err := mine.record(rules.IPv4); record != nil || err != nil {
		t.Errorf("of another boot: %v, %v", record, err)
	}
	late.run(t, "stop; want all=0 eth0=1; forgotten")
}

// TestUnknownNamespace believes what it cannot tell from others, as natspread 0.1 did, and
// is an error where the record itself tells several apart.
func TestUnknownNamespace(t *testing.T) {
	w := newWorld(t, rules.IPv4, makeFake)
	w.Namespace = ""
	w.run(t, "eth0=1; apply; stop; want all=0 eth0=1; forgotten; apply")
	w.Namespace = "boot 1"
	w.run(t, "stop; want all=0 eth0=1; forgotten; apply")
	w.Namespace = ""
	if _, err := w.Set(rules.NoTables()); err == nil || !strings.Contains(err.Error(), "the network namespace is not known") {
		t.Errorf("%v", err)
	}
	w.run(t, "want all=1")
}

// TestBadRecord is an error, and nothing is changed: what cannot be read is not nothing.
func TestBadRecord(t *testing.T) {
	for _, c := range []struct {
		name string
		put  func(path string) error
		want string
	}{
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		{"a link to nothing", func(path string) error { return os.Symlink("nowhere", path) }, "too many levels of symbolic links"},
		{"nothing", text("null\n"), "it is damaged: it says nothing"},
		{"empty", text(""), "it is damaged: unexpected end of JSON input"},
		{"cut", text(`{"boot 1":[{"name":"net`), "it is damaged: unexpected end of JSON input"},
		{"no number", text(`{"boot 1":[{"name":"net/ipv4/ip_forward","found":"0\n1","left":["1"]}]}`), `it is damaged: "0\n1" is no value of net.ipv4.ip_forward`},
		{"nothing found", text(`{"boot 1":[{"name":"net/ipv4/ip_forward","left":["1"]}]}`), `it is damaged: "" is no value of net.ipv4.ip_forward`},
		{"nothing left", text(`{"boot 1":[{"name":"net/ipv4/ip_forward","found":"0","left":["x"]}]}`), `it is damaged: "x" is no value of net.ipv4.ip_forward`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, tables := range []rules.Tables{list(rules.IPv4), rules.NoTables()} {
				w := newWorld(t, rules.IPv4, makeFake)
				must(t, c.put(w.file(rules.IPv4)))
				_, err := w.Set(tables)
				if err == nil || !strings.HasPrefix(err.Error(), "cannot read what was kept of net.ipv4.ip_forward: ") ||
					!strings.Contains(err.Error(), ": "+c.want+"; remove "+w.file(rules.IPv4)) {
					t.Errorf("%v", err)
				}
				if _, err := w.States(); err == nil {
					t.Error("no error for a trial")
				}
				w.run(t, "want all=0 redirects=1")
				if w.changes != 0 {
					t.Errorf("%d changes", w.changes)
				}
			}
		})
	}
}

// text returns what puts a text into a file.
func text(text string) func(path string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
}

// TestNothingCanBeKept switches on without a place for the record, and not without room in
// it. To switch off takes no room.
func TestNothingCanBeKept(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error // of each change of a record
		want string
	}{
		{"a read-only file system", unix.EROFS, "1"},
		{"no directory", unix.ENOENT, "1"},
		{"no room", unix.ENOSPC, "0"},
		{"a broken disk", unix.EIO, "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, rules.IPv4, makeFake)
			change := w.change
			w.change = func(path string, do func() error) error {
				if filepath.Dir(path) == w.Run {
					return c.err
				}
				return change(path, do)
			}
			_, err := w.Set(list(rules.IPv4))
			if refused := c.want == "0"; errors.Is(err, c.err) != refused || (err != nil) != refused {
				t.Errorf("%v", err)
			}
			w.run(t, "want all="+c.want+" redirects="+map[string]string{"0": "1", "1": "0"}[c.want])
		})
	}
	w := newWorld(t, rules.IPv4, makeFake)
	w.run(t, "eth0=1; apply")
	change := w.change
	w.change = func(path string, do func() error) error {
		if filepath.Dir(path) == w.Run && w.shown(t) != "all=0 default=0 eth0=1 eth1=0 redirects=1" {
			return unix.ENOSPC
		}
		return change(path, do)
	}
	w.run(t, "stop; want all=0 eth0=1; forgotten")
}

// TestOpened is for people.
func TestOpened(t *testing.T) {
	for _, c := range []struct {
		opened Opened
		want   string
	}{
		{Opened{Family: rules.IPv4}, "ipv4: this host forwards packets for everybody from now on, unless FORWARD drops them; fix: " + rules.CloseForward(rules.IPv4)},
		{Opened{rules.IPv6, []string{"eth0"}}, "ipv6: this host forwards packets for everybody from now on, by eth0, unless FORWARD drops them; fix: " + rules.CloseForward(rules.IPv6)},
		{Opened{rules.IPv4, []string{"eth0", "eth1"}}, "ipv4: this host forwards packets for everybody from now on, by eth0 and eth1, unless FORWARD drops them; fix: " + rules.CloseForward(rules.IPv4)},
		{Opened{rules.IPv4, []string{"a", "b", "c", "d", "e", "f"}}, "ipv4: this host forwards packets for everybody from now on, by a, b, c, d, e and f, unless FORWARD drops them; fix: " + rules.CloseForward(rules.IPv4)},
		{Opened{rules.IPv4, []string{"a", "b", "c", "d", "e", "f", "g"}}, "ipv4: this host forwards packets for everybody from now on, by a, b, c, d, e and 2 more interfaces, unless FORWARD drops them; fix: " + rules.CloseForward(rules.IPv4)},
	} {
		if got := c.opened.String(); got != c.want {
			t.Errorf("have %s\nwant %s", got, c.want)
		}
	}
}

// TestForced leaves out an interface whose IPv6 packets are forwarded whatever the host's
// own switch says.
func TestForced(t *testing.T) {
	w := newWorld(t, rules.IPv6, makeFake)
	for name, value := range map[string]string{"eth0": "1", "eth1": "0"} {
		put(t, filepath.Join(w.Proc, "net/ipv6/conf", name, "force_forwarding"), value)
	}
	w.run(t, "apply; opens eth1")
}

// TestLinksUnknown is an error before anything is changed.
func TestLinksUnknown(t *testing.T) {
	w := newWorld(t, rules.IPv4, makeFake)
	listed := w.links
	w.links = func() ([]net.Interface, error) { return nil, unix.EIO }
	if _, err := w.Set(list(rules.IPv4)); !errors.Is(err, unix.EIO) || w.changes != 0 {
		t.Errorf("%v, %d changes", err, w.changes)
	}
	w.links = listed
	w.run(t, "want all=0; forgotten")
}
