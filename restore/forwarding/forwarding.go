package forwarding

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/atomicfile"
	"natspread/internal/rules"
)

// Switches are the sysctls of both families that let a host forward packets, and the
// place where the values found before natspread are kept until stop or a reboot.
type Switches struct {
	Proc string // where sysctls are files: /proc/sys
	Run  string // the directory of the kept values: net.ipv4.ip_forward and so on
}

// Sysctl returns the name of a family's switch, as sysctl(8) writes it.
func Sysctl(family rules.Family) string {
	if family == rules.IPv6 {
		return "net.ipv6.conf.all.forwarding"
	}
	return "net.ipv4.ip_forward"
}

// file returns the file of a family's switch.
func (s Switches) file(family rules.Family) string {
	return filepath.Join(s.Proc, strings.ReplaceAll(Sysctl(family), ".", "/"))
}

// kept returns the file that holds the value found before natspread.
func (s Switches) kept(family rules.Family) string {
	return filepath.Join(s.Run, Sysctl(family))
}

// On tells whether the host forwards a family's packets.
func (s Switches) On(family rules.Family) (bool, error) {
	value, err := os.ReadFile(s.file(family))
	if err != nil {
		return false, fmt.Errorf("cannot read %s: %w", Sysctl(family), err)
	}
	return strings.TrimSpace(string(value)) == "1", nil
}

// Set makes the host forward the families that have rules, keeping the value
// found before us, and puts back what it finds kept for the others. When it fails,
// every switch is as it was.
func (s Switches) Set(tables rules.Tables) error {
	var reverts []func() error
	for _, family := range rules.Families() {
		step := s.enable
		if tables.Of(family).Empty() {
			step = s.disable
		}
		revert, err := step(family)
		if err != nil {
			for _, revert := range reverts {
				err = errors.Join(err, revert())
			}
			return err
		}
		reverts = append(reverts, revert)
	}
	return nil
}

// enable switches forwarding on and returns what reverts that. It does not write a
// switch that is on already: a change of ip_forward resets every interface's
// settings (ip-sysctl.rst).
func (s Switches) enable(family rules.Family) (revert func() error, err error) {
	value, err := os.ReadFile(s.file(family))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", Sysctl(family), err)
	}
	forget, err := s.keep(family, value)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(string(value)) == "1" {
		return forget, nil
	}
	if err := s.write(family, []byte("1\n")); err != nil {
		return nil, errors.Join(err, forget())
	}
	return func() error { return errors.Join(s.write(family, value), forget()) }, nil
}

// keep stores the value found before us, once until stop or a reboot, and returns
// what forgets it again. On a read-only file system nothing can be kept, and
// forwarding matters more.
func (s Switches) keep(family rules.Family, value []byte) (forget func() error, err error) {
	nothing := func() error { return nil }
	if _, err := os.Lstat(s.kept(family)); err == nil {
		return nothing, nil
	}
	err = atomicfile.WriteFile(s.kept(family), value, 0o600)
	switch {
	case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrNotExist): // without its directory, which lock makes where it can
		return nothing, nil
	case err != nil:
		return nil, fmt.Errorf("cannot keep the value of %s: %w", Sysctl(family), err)
	}
	return func() error { return os.Remove(s.kept(family)) }, nil
}

// disable writes the value found before us, if one is kept, removes what is kept, and
// returns what reverts that.
func (s Switches) disable(family rules.Family) (revert func() error, err error) {
	value, err := os.ReadFile(s.kept(family))
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot restore %s: %w", Sysctl(family), err)
	}
	now, err := os.ReadFile(s.file(family))
	if err != nil || string(now) != string(value) {
		if err := s.write(family, value); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(s.kept(family)); err != nil {
		return nil, fmt.Errorf("cannot restore %s: %w", Sysctl(family), err)
	}
	return func() error {
		return errors.Join(atomicfile.WriteFile(s.kept(family), value, 0o600), s.write(family, now))
	}, nil
}

// write sets a switch. A write to a sysctl is one system call or nothing.
func (s Switches) write(family rules.Family, value []byte) error {
	if err := os.WriteFile(s.file(family), value, 0); err != nil {
		return fmt.Errorf("cannot set %s to %s: %w", Sysctl(family), strings.TrimSpace(string(value)), err)
	}
	return nil
}

// State is a family's switch as it was found, and what was kept of it.
type State struct {
	Value string  `json:"value"`
	Kept  *string `json:"kept"` // the value found before natspread; nil when none is kept
}

// States are the states of both families' switches; nil for a family that the kernel
// does not have.
type States [2]*State

// States returns the states of the switches.
func (s Switches) States() (states States, err error) {
	for _, family := range rules.Families() {
		value, err := os.ReadFile(s.file(family))
		if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			continue
		}
		if err != nil {
			return states, fmt.Errorf("cannot read %s: %w", Sysctl(family), err)
		}
		state := State{Value: string(value)}
		if kept, err := os.ReadFile(s.kept(family)); err == nil {
			text := string(kept)
			state.Kept = &text
		} else if !errors.Is(err, fs.ErrNotExist) {
			return states, fmt.Errorf("cannot read the kept value of %s: %w", Sysctl(family), err)
		}
		states[family] = &state
	}
	return states, nil
}

// Revert sets the switches, and what is kept of them, to earlier states.
func (s Switches) Revert(states States) error {
	for _, family := range rules.Families() {
		state := states[family]
		if state == nil {
			continue
		}
		if now, err := os.ReadFile(s.file(family)); err != nil || string(now) != state.Value {
			if err := s.write(family, []byte(state.Value)); err != nil {
				return err
			}
		}
		if err := s.setKept(family, state.Kept); err != nil {
			return fmt.Errorf("cannot keep the value of %s: %w", Sysctl(family), err)
		}
	}
	return nil
}

// setKept sets what is kept of a switch; nil keeps nothing.
func (s Switches) setKept(family rules.Family, value *string) error {
	if now, err := os.ReadFile(s.kept(family)); value != nil && err == nil && string(now) == *value {
		return nil
	}
	if value != nil {
		return atomicfile.WriteFile(s.kept(family), []byte(*value), 0o600)
	}
	if err := os.Remove(s.kept(family)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
