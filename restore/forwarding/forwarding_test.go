package forwarding

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natspread/internal/rules"
)

// switches is a place of sysctls that holds both switches, set long ago.
func switches(t *testing.T, four, six string) Switches {
	t.Helper()
	f := Switches{Proc: t.TempDir(), Run: t.TempDir()}
	for family, value := range map[rules.Family]string{rules.IPv4: four, rules.IPv6: six} {
		if err := os.MkdirAll(filepath.Dir(f.file(family)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.file(family), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(f.file(family), long, long); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// long is a time at which nothing here was written.
var long = time.Unix(1e9, 0)

// values returns the switches as "01", each followed by "!" if it was written, and
// what is kept of the values before, "-" for nothing.
func (s Switches) values(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, family := range rules.Families() {
		value, err := os.ReadFile(s.file(family))
		if err != nil {
			value = []byte("gone")
		}
		b.WriteString(strings.TrimSpace(string(value)))
		if info, err := os.Stat(s.file(family)); err == nil && !info.ModTime().Equal(long) {
			b.WriteString("!")
		}
	}
	b.WriteString(" ")
	for _, family := range rules.Families() {
		kept, err := os.ReadFile(s.kept(family))
		if err != nil {
			kept = []byte("-")
		}
		b.WriteString(strings.TrimSpace(string(kept)))
	}
	return b.String()
}

// list returns tables that have something in the families named.
func list(families ...rules.Family) rules.Tables {
	tables := rules.NoTables()
	for _, family := range families {
		some := rules.Table{Family: family, Chains: []rules.Chain{{Name: rules.ServicePre}}}
		if family == rules.IPv6 {
			tables.IPv6 = some
		} else {
			tables.IPv4 = some
		}
	}
	return tables
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
				if err := f.Set(tables); err != nil {
					t.Fatal(err)
				}
				if got := f.values(t); got != c.want[i] {
					t.Errorf("step %d: %s, want %s", i+1, got, c.want[i])
				}
			}
		})
	}
}

// TestForwardingSwitchedOffByOthers is set again, and the value from before
// natspread stays the one kept.
func TestForwardingSwitchedOffByOthers(t *testing.T) {
	f := switches(t, "2", "1")
	for range 2 {
		if err := f.Set(list(rules.Families()...)); err != nil {
			t.Fatal(err)
		}
		if got := f.values(t); got != "1!1 21" && got != "1!1! 21" {
			t.Errorf("%s", got)
		}
		for _, family := range rules.Families() {
			if on, err := f.On(family); !on || err != nil {
				t.Errorf("%v: %v, %v", family, on, err)
			}
			if err := f.write(family, []byte("0\n")); err != nil {
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
	if err := os.Remove(f.file(rules.IPv6)); err != nil {
		t.Fatal(err)
	}
	err := f.Set(list(rules.Families()...))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "net.ipv6.conf.all.forwarding") {
		t.Errorf("%v", err)
	}
	if got := f.values(t); got != "0!gone --" {
		t.Errorf("%s", got)
	}
	if err := f.Set(list(rules.IPv4)); err != nil {
		t.Errorf("without IPv6 services: %v", err)
	}
	// IPv4 is to be put back, and IPv6 to be set, which fails.
	err = f.Set(list(rules.IPv6))
	if got := f.values(t); err == nil || got != "1!gone 0-" {
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
				if err := s.Set(both); err != nil {
					t.Fatal(err)
				}
				if got := s.values(t); got != c.set {
					t.Errorf("set: %s, want %s", got, c.set)
				}
				for range 2 {
					if err := s.Revert(states); err != nil {
						t.Fatal(err)
					}
					if got := s.values(t); got != c.reverted {
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
		func() error { return s.Set(list(rules.IPv4)) },
		func() error { return s.write(rules.IPv4, []byte("0\n")) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	states, err := s.States()
	if err != nil || states[rules.IPv4].Kept == nil || states[rules.IPv6].Kept != nil {
		t.Fatalf("%+v, %v", states, err)
	}
	if err := s.Set(rules.NoTables()); err != nil {
		t.Fatal(err)
	}
	if err := s.Revert(states); err != nil {
		t.Fatal(err)
	}
	if got := s.values(t); got != "0!0 0-" {
		t.Errorf("%s", got)
	}
}

// TestStatesWithoutIPv6 leaves alone what the kernel does not have.
func TestStatesWithoutIPv6(t *testing.T) {
	s := switches(t, "0", "0")
	if err := os.Remove(s.file(rules.IPv6)); err != nil {
		t.Fatal(err)
	}
	states, err := s.States()
	if err != nil || states[rules.IPv6] != nil || states[rules.IPv4].Value != "0\n" {
		t.Fatalf("%+v, %v", states, err)
	}
	if err := s.Revert(states); err != nil || s.values(t) != "0gone --" {
		t.Errorf("%s, %v", s.values(t), err)
	}
}
