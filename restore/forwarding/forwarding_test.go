package forwarding

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"natspread/internal/rules"
)

// switches is a place of sysctls that holds both switches, set long ago.
func switches(t *testing.T, four, six string) Switches {
	t.Helper()
	s := Switches{Proc: t.TempDir(), Run: t.TempDir(), Namespace: "boot 1", links: func() ([]net.Interface, error) { return nil, nil }}
	for family, value := range map[rules.Family]string{rules.IPv4: four, rules.IPv6: six} {
		path := s.path(hostSwitch(family))
		put(t, path, value)
		must(t, os.Chtimes(path, long, long))
	}
	return s
}

// long is a time at which nothing here was written.
var long = time.Unix(1e9, 0)

// marked returns the switches as "01", each followed by "!" if it was written, and
// what is kept of the values before, "-" for nothing.
func (s Switches) marked(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, family := range rules.Families() {
		value, err := s.read(hostSwitch(family))
		if err != nil {
			value = "gone"
		}
		b.WriteString(value)
		if info, err := os.Stat(s.path(hostSwitch(family))); err == nil && !info.ModTime().Equal(long) {
			b.WriteString("!")
		}
	}
	b.WriteString(" ")
	for _, family := range rules.Families() {
		record, err := s.record(family)
		must(t, err)
		if len(record) == 0 {
			record = Record{{Found: "-"}}
		}
		b.WriteString(record[0].Found)
	}
	return b.String()
}

func TestForwarding(t *testing.T) {
	both, four, none := list(rules.Families()...), list(rules.IPv4), rules.NoTables()
	for _, c := range []struct {
		name, before string
		steps        []rules.Tables
		want         []string // after each step
	}{
		{"off before", "00", []rules.Tables{both, both, none, none}, []string{"1!1! 00", "1!1! 00", "0!0! --", "0!0! --"}},
		{"on before", "11", []rules.Tables{both, none}, []string{"11 11", "11 --"}},
		{"one on before", "10", []rules.Tables{both, none}, []string{"11! 10", "10! --"}},
		{"one family", "00", []rules.Tables{four, none}, []string{"1!0 0-", "0!0 --"}},
		{"a family less", "00", []rules.Tables{both, four, both, none}, []string{"1!1! 00", "1!0! 0-", "1!1! 00", "0!0! --"}},
		{"nothing to put back", "01", []rules.Tables{none}, []string{"01 --"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := switches(t, c.before[:1], c.before[1:])
			for i, tables := range c.steps {
				if _, err := f.Set(tables); err != nil {
					t.Fatal(err)
				}
				if got := f.marked(t); got != c.want[i] {
					t.Errorf("step %d: %s, want %s", i+1, got, c.want[i])
				}
			}
		})
	}
}

// TestForwardingSwitchedOffByOthers is set again, and then the value that others set is
// the one kept.
func TestForwardingSwitchedOffByOthers(t *testing.T) {
	f := switches(t, "2", "1")
	for _, want := range []string{"1!1 21", "1!1! 00", "1!1! 00"} {
		if _, err := f.Set(list(rules.Families()...)); err != nil {
			t.Fatal(err)
		}
		if got := f.marked(t); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		for _, family := range rules.Families() {
			if on, err := f.On(family); !on || err != nil {
				t.Errorf("%v: %v, %v", family, on, err)
			}
			if err := f.write(Switch{hostSwitch(family), "0"}); err != nil {
				t.Fatal(err)
			}
			if on, err := f.On(family); on || err != nil {
				t.Errorf("%v: %v, %v", family, on, err)
			}
		}
	}
}

// TestSetReverts lets the second family fail, whose host has no IPv6.
func TestSetReverts(t *testing.T) {
	f := switches(t, "0", "0")
	if err := os.Remove(f.path(hostSwitch(rules.IPv6))); err != nil {
		t.Fatal(err)
	}
	_, err := f.Set(list(rules.Families()...))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "net.ipv6.conf.all.forwarding") {
		t.Errorf("%v", err)
	}
	if got := f.marked(t); got != "0!gone --" {
		t.Errorf("%s", got)
	}
	if _, err := f.Set(list(rules.IPv4)); err != nil {
		t.Errorf("without IPv6 services: %v", err)
	}
	// IPv4 is to be put back, and IPv6 to be set, which fails.
	_, err = f.Set(list(rules.IPv6))
	if got := f.marked(t); err == nil || got != "1!gone 0-" {
		t.Errorf("%s, %v", got, err)
	}
}

// TestRevert sets the switches, and what is kept of them, to what they were before they were
// set, and writes none that is as it was.
func TestRevert(t *testing.T) {
	both := list(rules.Families()...)
	for _, c := range []struct{ name, before, set, reverted string }{
		{"off before", "00", "1!1! 00", "0!0! --"},
		{"one on before", "01", "1!1 01", "0!1 --"},
		{"on before", "11", "11 11", "11 --"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := switches(t, c.before[:1], c.before[1:])
			states, err := s.States()
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // it may be repeated
				if _, err := s.Set(both); err != nil {
					t.Fatal(err)
				}
				if got := s.marked(t); got != c.set {
					t.Errorf("set: %s, want %s", got, c.set)
				}
				for range 2 {
					if err := s.Revert(states); err != nil {
						t.Fatal(err)
					}
					if got := s.marked(t); got != c.reverted {
						t.Errorf("reverted: %s, want %s", got, c.reverted)
					}
				}
			}
		})
	}
}

// TestRevertToKept leads back to a host on which natspread had set the switches before, and
// somebody had switched one off since.
func TestRevertToKept(t *testing.T) {
	s := switches(t, "0", "0")
	for _, step := range []func() error{
		func() error { _, err := s.Set(list(rules.IPv4)); return err },
		func() error { return s.write(Switch{hostSwitch(rules.IPv4), "0"}) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	states, err := s.States()
	if err != nil || states[rules.IPv4].Record == nil || states[rules.IPv6].Record != nil {
		t.Fatalf("%+v, %v", states, err)
	}
	if _, err := s.Set(rules.NoTables()); err != nil {
		t.Fatal(err)
	}
	if err := s.Revert(states); err != nil {
		t.Fatal(err)
	}
	if got := s.marked(t); got != "0!0 0-" {
		t.Errorf("%s", got)
	}
}

// TestStatesWithoutIPv6 leaves alone what the kernel does not have.
func TestStatesWithoutIPv6(t *testing.T) {
	s := switches(t, "0", "0")
	if err := os.Remove(s.path(hostSwitch(rules.IPv6))); err != nil {
		t.Fatal(err)
	}
	states, err := s.States()
	if err != nil || states[rules.IPv6] != nil || states[rules.IPv4].Switches[0].Value != "0" {
		t.Fatalf("%+v, %v", states, err)
	}
	if err := s.Revert(states); err != nil || s.marked(t) != "0gone --" {
		t.Errorf("%s, %v", s.marked(t), err)
	}
}
