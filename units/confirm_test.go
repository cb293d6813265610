package units

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	bus "github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// asked writes what was asked for of a transient unit, a line a property.
func asked(unit string, properties []dbus.Property) string {
	text := "[" + unit + "]\n"
	for _, p := range properties {
		text += fmt.Sprintf("%s %s %s\n", p.Name, p.Value.Signature(), p.Value.String())
	}
	return text
}

// TestScheduleRevert compares what systemd is asked for with the stories, and holds the order:
// an older timer gives way first, and the service is not started.
func TestScheduleRevert(t *testing.T) {
	for _, path := range stories(t, "confirm") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, files := story(t, path)
			fake := &fakeSystemd{result: "done"}
			revert := Revert{
				Program: strings.TrimSuffix(files["program"], "\n"), Args: strings.Split(strings.TrimSuffix(files["arguments"], "\n"), "\n"),
				After: time.Minute, Writes: []string{"/var/lib/natspread"}, Env: strings.Fields(files["environment"]),
			}
			if err := fake.reach(t).ScheduleRevert(context.Background(), revert); err != nil {
				t.Fatal(err)
			}
			want(t, "calls", []string{
				"stop natspread-confirm.timer replace", "reset-failed natspread-confirm.timer",
				"stop natspread-confirm.service replace", "reset-failed natspread-confirm.service",
				"start-transient natspread-confirm.timer replace",
			}, fake.called)
			if *update {
				archive.Files[len(archive.Files)-1].Data = []byte(fake.transient)
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(files["properties"], fake.transient); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestScheduleRevertFails lets systemd refuse: then nothing is scheduled, and the error says of what.
func TestScheduleRevertFails(t *testing.T) {
	revert := Revert{Program: testProgram, After: time.Minute}
	err := (&fakeSystemd{result: "failed"}).reach(t).ScheduleRevert(context.Background(), revert)
	if err == nil || !strings.Contains(err.Error(), RevertTimer) {
		t.Errorf("%v", err)
	}
	refusal := bus.NewError("org.freedesktop.DBus.Error.InvalidArgs", []any{"no such property"})
	err = (&fakeSystemd{refuse: refusal}).reach(t).ScheduleRevert(context.Background(), revert)
	if err == nil || !strings.HasSuffix(err.Error(), ": no such property") {
		t.Errorf("%v", err)
	}
	for _, program := range []string{"natspread", "", "/usr//sbin/natspread", "/usr/sbin/../natspread"} {
		fake := &fakeSystemd{result: "done"}
		if err := fake.reach(t).ScheduleRevert(context.Background(), Revert{Program: program}); err == nil || len(fake.called) != 0 {
			t.Errorf("%q: %v, %v", program, err, fake.called)
		}
	}
}

// TestCancelRevert cancels what is not there, as when the timer has run out already.
func TestCancelRevert(t *testing.T) {
	gone := bus.NewError(noSuchUnit, []any{"Unit natspread-confirm.timer not loaded."})
	if err := (&fakeSystemd{refuse: gone}).reach(t).CancelRevert(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestTransient wants each line of the sandbox to have a type, and no other to get one by
// accident.
func TestTransient(t *testing.T) {
	for _, l := range sandbox("yes") {
		if p, err := transient(l); err != nil || p.Name != l.name || p.Value.Signature().Empty() {
			t.Errorf("%v: %v, %v", l, p, err)
		}
	}
	for _, l := range []line{
		{"RestrictNamespaces", "net"}, {"IPAddressDeny", "10.0.0.0/8"}, {"SystemCallErrorNumber", "EACCES"},
		{"CapabilityBoundingSet", "CAP_NET_ADMIN CAP_SYS_ADMIN"}, {"NoNewPrivileges", "no"}, {"UMask", "rwx"}, {"TimeoutStartSec", "90s"},
	} {
		if p, err := transient(l); err == nil {
			t.Errorf("%v became %v", l, p)
		}
	}
}
