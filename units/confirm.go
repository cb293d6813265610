package units

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	bus "github.com/godbus/dbus/v5"
)

// RevertTimer is the transient unit that reverts what nobody confirms in time, by starting revertService.
const RevertTimer = "natspread-confirm.timer"

// revertService is what the timer starts: it has the timer's name, which is how the timer finds it.
const revertService = "natspread-confirm.service"

// Revert is what PID 1 is to run when nobody confirms.
type Revert struct {
	Program string   // absolute path
	Args    []string // each as it is: neither $ nor % means anything
	After   time.Duration
	Writes  []string // absolute paths that the program writes to; they exist, unless "-" is before one
	Env     []string // NAME=VALUE, beside what systemd itself sets; % and $ are letters here, too
}

// ScheduleRevert lets systemd run a program after some time, whatever happens to this process; an older timer of
// the same name gives way. Units and timer exist only in memory: no reboot brings them back.
func (s *Systemd) ScheduleRevert(ctx context.Context, revert Revert) error {
	service, err := revert.service()
	if err != nil {
		return err
	}
	if err := s.CancelRevert(ctx); err != nil {
		return err
	}
	// Of the service nothing is started: it comes along for the timer to start it.
	aux := []dbus.PropertyCollection{{Name: revertService, Properties: service}}
	return waitJob(ctx, "start", RevertTimer, func(ctx context.Context, unit, mode string, result chan<- string) (int, error) {
		return s.conn.StartTransientUnitAux(ctx, unit, mode, revert.timer(), aux, result)
	})
}

// CancelRevert cancels what ScheduleRevert scheduled. Where nothing is scheduled there is nothing to do.
func (s *Systemd) CancelRevert(ctx context.Context) error {
	for _, unit := range []string{RevertTimer, revertService} {
		if err := s.Stop(ctx, unit); err != nil {
			return err
		}
		if err := s.ResetFailed(ctx, unit); err != nil { // a failed unit keeps its name
			return err
		}
	}
	return nil
}

// timer returns the properties of the timer.
func (u Revert) timer() []dbus.Property {
	once := []struct {
		Base string
		Usec uint64
	}{{"OnActiveSec", uint64(u.After.Microseconds())}}
	return []dbus.Property{
		property("Description", "Revert the rules that were not confirmed"),
		property("TimersMonotonic", once),
		property("AccuracyUSec", uint64((100 * time.Millisecond).Microseconds())),
		property("RemainAfterElapse", false),
	}
}

// service returns the properties of the service, in as small a room as that of the unit at boot, but that it sees
// home directories: program and root may be in one.
func (u Revert) service() ([]dbus.Property, error) {
	if !filepath.IsAbs(u.Program) || filepath.Clean(u.Program) != u.Program {
		return nil, fmt.Errorf("cannot schedule %s: %q is no absolute path", RevertTimer, u.Program)
	}
	type command struct {
		Path  string
		Args  []string // the first is the program again
		Flags []string
	}
	lock := command{"/bin/sh", []string{"/bin/sh", "-c", makeLock}, []string{"ignore-failure", "privileged"}}
	run := command{u.Program, append([]string{u.Program}, u.Args...), []string{"no-env-expand"}}
	properties := []dbus.Property{
		property("Description", "Revert the rules that were not confirmed"),
		property("Type", "oneshot"),
		property("ExecStartPreEx", []command{lock}),
		property("ExecStartEx", []command{run}),
		// Killed half way it begins again, which it can. What merely fails it tries again itself.
		property("Restart", "on-abnormal"),
	}
	for _, line := range sandbox("read-only") {
		converted, err := transient(line)
		if err != nil {
			return nil, err
		}
		properties = append(properties, converted)
	}
	return append(properties, property("ReadWritePaths", u.Writes), property("Environment", u.Env)), nil
}

// property returns a property of a transient unit.
func property(name string, value any) dbus.Property {
	return dbus.Property{Name: name, Value: bus.MakeVariant(value)}
}

// transient returns a line of a unit file as D-Bus has it: not as text, but with a type for each name.
func transient(l line) (dbus.Property, error) {
	words := strings.Fields(l.value)
	names, deny := strings.CutPrefix(l.value, "~") // which turns a list around
	switch l.name {
	case "ProtectSystem", "ProtectHome", "ProtectProc", "DevicePolicy":
		return property(l.name, l.value), nil
	case "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "SystemCallArchitectures":
		return property(l.name, words), nil
	case "RestrictAddressFamilies", "SystemCallFilter":
		return property(l.name, list{!deny, strings.Fields(names)}), nil
	case "UMask":
		var mode uint32
		_, err := fmt.Sscanf(l.value, "%o", &mode)
		return property(l.name, mode), err
	case "CapabilityBoundingSet":
		set, err := capabilities(words)
		return property(l.name, set), err
	}
	switch l {
	case line{"RestrictNamespaces", "yes"}:
		return property(l.name, uint64(0)), nil // those that are left
	case line{"IPAddressDeny", "any"}:
		return property(l.name, []prefix{{syscall.AF_INET, make([]byte, 4), 0}, {syscall.AF_INET6, make([]byte, 16), 0}}), nil
	case line{"SystemCallErrorNumber", "EPERM"}:
		return property(l.name, int32(1)), nil
	case line{l.name, "yes"}:
		return property(l.name, true), nil
	}
	return dbus.Property{}, fmt.Errorf("cannot tell systemd of %s=%s: its type on D-Bus is not known here", l.name, l.value)
}

// list is a list of what is allowed, or of what is not.
type list struct {
	Allow bool
	Names []string
}

// prefix is a prefix of addresses of a family.
type prefix struct {
	Family  int32
	Address []byte
	Length  uint32
}

// capabilities returns a set of capabilities as the kernel numbers them: capability.h.
func capabilities(names []string) (set uint64, err error) {
	numbers := map[string]int{"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}
	for _, name := range names {
		number, known := numbers[name]
		if !known {
			return 0, fmt.Errorf("cannot tell systemd of %s: its number is not known here", name)
		}
		set |= 1 << number
	}
	return set, nil
}
