package units

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	bus "github.com/godbus/dbus/v5"
)

// unitIn returns the properties of a unit in a state, with a job of that number.
func unitIn(file, active string, job uint32) map[string]bus.Variant {
	type jobProperty struct {
		Number uint32
		Path   bus.ObjectPath
	}
	return map[string]bus.Variant{
		"UnitFileState": bus.MakeVariant(file), "ActiveState": bus.MakeVariant(active),
		"Job": bus.MakeVariant(jobProperty{job, "/"}),
	}
}

// TestStartEnabled starts what is enabled and not active, and nothing else.
func TestStartEnabled(t *testing.T) {
	for name, c := range map[string]struct {
		unit           map[string]bus.Variant
		unmet          bool
		starts, active bool
	}{
		"inactive":                     {unit: unitIn("enabled", "inactive", 0), starts: true, active: true},
		"failed":                       {unit: unitIn("enabled", "failed", 0), starts: true, active: true},
		"enabled until reboot":         {unit: unitIn("enabled-runtime", "inactive", 0), starts: true, active: true},
		"a condition is not met":       {unit: unitIn("enabled", "inactive", 0), unmet: true, starts: true},
		"active":                       {unit: unitIn("enabled", "active", 0)},
		"starting":                     {unit: unitIn("enabled", "activating", 7)},
		"to be started":                {unit: unitIn("enabled", "inactive", 7)},
		"disabled":                     {unit: unitIn("disabled", "inactive", 0)},
		"disabled, failed":             {unit: unitIn("disabled", "failed", 0)},
		"masked":                       {unit: unitIn("masked", "inactive", 0)},
		"no unit file":                 {unit: unitIn("", "inactive", 0)},
		"a unit that nobody knows":     {},
		"not in need of being enabled": {unit: unitIn("static", "inactive", 0)},
	} {
		fake := &fakeSystemd{result: "done", properties: c.unit, unmet: c.unmet}
		started, err := fake.reach(t).StartEnabled(context.Background())
		if err != nil || started != c.active {
			t.Errorf("%s: started %v, %v", name, started, err)
		}
		calls := []string{"properties"}
		if c.starts {
			calls = append(calls, "start natspread.service replace", "properties")
		}
		want(t, name, calls, fake.called)
	}
}

// TestRuns counts as running what systemd is about to start.
func TestRuns(t *testing.T) {
	for name, c := range map[string]struct {
		unit map[string]bus.Variant
		runs bool
	}{
		"active":                   {unitIn("disabled", "active", 0), true},
		"starting":                 {unitIn("enabled", "activating", 7), true},
		"about to be restarted":    {unitIn("enabled", "activating", 0), true},
		"to be started":            {unitIn("enabled", "inactive", 7), true},
		"inactive":                 {unitIn("enabled", "inactive", 0), false},
		"failed":                   {unitIn("enabled", "failed", 0), false},
		"a unit that nobody knows": {},
	} {
		runs, err := (&fakeSystemd{properties: c.unit}).reach(t).Runs(context.Background(), "natspread.service")
		if err != nil || runs != c.runs {
			t.Errorf("%s: %v, %v", name, runs, err)
		}
	}
}

// TestStartEnabledFails gives the cause alone: who asked says what it is the cause of.
func TestStartEnabledFails(t *testing.T) {
	failing := &fakeSystemd{result: "failed", properties: unitIn("enabled", "inactive", 0)}
	started, err := failing.reach(t).StartEnabled(context.Background())
	if started || err == nil || err.Error() != "its program failed; see: journalctl -b -u natspread.service" {
		t.Errorf("%v, %v", started, err)
	}
	refusal := bus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"permission denied"})
	started, err = (&fakeSystemd{refuse: refusal}).reach(t).StartEnabled(context.Background())
	if started || err == nil || err.Error() != "cannot read its state: permission denied" {
		t.Errorf("%v, %v", started, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	endless := &fakeSystemd{properties: unitIn("enabled", "failed", 0)}
	started, err = endless.reach(t).StartEnabled(ctx)
	if started || !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "systemd has not finished: ") {
		t.Errorf("a job that never ends: %v, %v", started, err)
	}
}
