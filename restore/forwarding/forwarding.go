package restore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/rules"
)

// forwarding is the kernel's switch that lets a host forward a family's packets,
// and the place where the value found before natspread is kept.
type forwarding struct {
	proc   string // where sysctls are files: /proc/sys
	runDir string
}

// sysctl returns the name of a family's switch, as sysctl(8) writes it.
func sysctl(family rules.Family) string {
	if family == rules.IPv6 {
		return "net.ipv6.conf.all.forwarding"
	}
	return "net.ipv4.ip_forward"
}

// file returns the file of a family's switch.
func (f forwarding) file(family rules.Family) string {
	return filepath.Join(f.proc, strings.ReplaceAll(sysctl(family), ".", "/"))
}

// kept returns the file that holds the value found before natspread.
func (f forwarding) kept(family rules.Family) string {
	return filepath.Join(f.runDir, sysctl(family))
}

// on tells whether the host forwards a family's packets.
func (f forwarding) on(family rules.Family) (bool, error) {
	value, err := os.ReadFile(f.file(family))
	if err != nil {
		return false, fmt.Errorf("cannot read %s: %w", sysctl(family), err)
	}
	return strings.TrimSpace(string(value)) == "1", nil
}

// set makes the host forward the families that have rules, keeping the value
// found before us, and puts back what it finds kept for the others. When it fails,
// every switch is as it was.
func (f forwarding) set(tables rules.Tables) error {
	var undo []func() error
	for _, family := range rules.Families() {
		step := f.enable
		if tables.Of(family).Empty() {
			step = f.putBack
		}
		back, err := step(family)
		if err != nil {
			for _, back := range undo {
				err = errors.Join(err, back())
			}
			return err
		}
		undo = append(undo, back)
	}
	return nil
}

// enable switches forwarding on and returns the way back. It does not write a
// switch that is on already: a change of ip_forward resets every interface's
// settings (ip-sysctl.rst).
func (f forwarding) enable(family rules.Family) (back func() error, err error) {
	value, err := os.ReadFile(f.file(family))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", sysctl(family), err)
	}
	forget, err := f.keep(family, value)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(string(value)) == "1" {
		return forget, nil
	}
	if err := f.write(family, []byte("1\n")); err != nil {
		return nil, errors.Join(err, forget())
	}
	return func() error { return errors.Join(f.write(family, value), forget()) }, nil
}

// keep stores the value found before us, once until stop or a reboot, and returns
// what forgets it again. On a read-only file system nothing can be kept, and
// forwarding matters more.
func (f forwarding) keep(family rules.Family, value []byte) (forget func() error, err error) {
	nothing := func() error { return nil }
	if _, err := os.Lstat(f.kept(family)); err == nil {
		return nothing, nil
	}
	err = atomicfile.WriteFile(f.kept(family), value, 0o600)
	switch {
	case readOnly(err), notExist(err): // without its directory, which lock makes where it can
		return nothing, nil
	case err != nil:
		return nil, fmt.Errorf("cannot keep the value of %s: %w", sysctl(family), err)
	}
	return func() error { return os.Remove(f.kept(family)) }, nil
}

// putBack writes the value found before us, if there is one, and forgets it.
func (f forwarding) putBack(family rules.Family) (back func() error, err error) {
	value, err := os.ReadFile(f.kept(family))
	if notExist(err) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot put %s back: %w", sysctl(family), err)
	}
	now, err := os.ReadFile(f.file(family))
	if err != nil || string(now) != string(value) {
		if err := f.write(family, value); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(f.kept(family)); err != nil {
		return nil, fmt.Errorf("cannot put %s back: %w", sysctl(family), err)
	}
	return func() error {
		return errors.Join(atomicfile.WriteFile(f.kept(family), value, 0o600), f.write(family, now))
	}, nil
}

// write sets a switch. A write to a sysctl is one system call or nothing.
func (f forwarding) write(family rules.Family, value []byte) error {
	if err := os.WriteFile(f.file(family), value, 0); err != nil {
		return fmt.Errorf("cannot set %s to %s: %w", sysctl(family), strings.TrimSpace(string(value)), err)
	}
	return nil
}

// switchState is a family's switch as it was found, and what was kept of it.
type switchState struct {
	Value string  `json:"value"`
	Kept  *string `json:"kept"` // the value found before natspread; nil when none is kept
}

// states returns how the switches stand.
func (f forwarding) states() (states [2]*switchState, err error) {
	for _, family := range rules.Families() {
		value, err := os.ReadFile(f.file(family))
		if notExist(err) { // a kernel without IPv6
			continue
		}
		if err != nil {
			return states, fmt.Errorf("cannot read %s: %w", sysctl(family), err)
		}
		state := switchState{Value: string(value)}
		if kept, err := os.ReadFile(f.kept(family)); err == nil {
			text := string(kept)
			state.Kept = &text
		} else if !notExist(err) {
			return states, fmt.Errorf("cannot read the kept value of %s: %w", sysctl(family), err)
		}
		states[family] = &state
	}
	return states, nil
}

// putStates lets the switches, and what is kept of them, be as they were.
func (f forwarding) putStates(states [2]*switchState) error {
	for _, family := range rules.Families() {
		state := states[family]
		if state == nil {
			continue
		}
		if now, err := os.ReadFile(f.file(family)); err != nil || string(now) != state.Value {
			if err := f.write(family, []byte(state.Value)); err != nil {
				return err
			}
		}
		if err := f.putKept(family, state.Kept); err != nil {
			return fmt.Errorf("cannot keep the value of %s: %w", sysctl(family), err)
		}
	}
	return nil
}

// putKept lets the value that is kept of a switch be what it was.
func (f forwarding) putKept(family rules.Family, value *string) error {
	if now, err := os.ReadFile(f.kept(family)); value != nil && err == nil && string(now) == *value {
		return nil
	}
	if value != nil {
		return atomicfile.WriteFile(f.kept(family), []byte(*value), 0o600)
	}
	if err := os.Remove(f.kept(family)); !notExist(err) {
		return err
	}
	return nil
}
