package units

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	bus "github.com/godbus/dbus/v5"
)

// runningDir exists exactly while systemd is PID 1: sd_booted(3).
const runningDir = "/run/systemd/system"

// jobTimeout is longer than the unit's own TimeoutStartSec, so that systemd's verdict comes first.
const jobTimeout = 2 * time.Minute

// noSuchUnit is systemd's name for a unit that is neither loaded nor on disk.
const noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"

// Systemd is the running systemd, reached over D-Bus.
type Systemd struct{ conn *dbus.Conn }

// Systemd is what Install is given on a live machine.
var _ Manager = (*Systemd)(nil)

// ErrNotRunning says that systemd is not PID 1 here.
var ErrNotRunning = errors.New("it is not running here")

// Running tells whether systemd is PID 1 here.
func Running() bool { return isDir(runningDir) }

// isDir tells whether there is a directory.
func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// Connect reaches the running systemd; root needs no D-Bus daemon for it. The connection ends with ctx.
func Connect(ctx context.Context) (*Systemd, error) {
	return connect(ctx, runningDir, dbus.NewWithContext)
}

// connect is Connect with what says that systemd runs, and the way to it.
func connect(ctx context.Context, running string, dial func(context.Context) (*dbus.Conn, error)) (*Systemd, error) {
	if !isDir(running) {
		return nil, fmt.Errorf("cannot reach systemd: %w (no %s); for an image: natspread install --offline, or --root DIR from outside", ErrNotRunning, running)
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot reach systemd: %w", err)
	}
	return &Systemd{conn}, nil
}

// Close ends the connection.
func (s *Systemd) Close() { s.conn.Close() }

// Enable implements Manager.
func (s *Systemd) Enable(ctx context.Context, unit string) (bool, error) {
	hasInstall, changes, err := s.conn.EnableUnitFilesContext(ctx, []string{unit}, false, false)
	if err != nil {
		return false, fmt.Errorf("cannot enable %s: %w", unit, err)
	}
	if !hasInstall {
		return false, fmt.Errorf("cannot enable %s: its unit file has no [Install] section; see: systemctl cat %s", unit, unit)
	}
	return len(changes) > 0, nil
}

// Disable implements Manager.
func (s *Systemd) Disable(ctx context.Context, unit string) (bool, error) {
	changes, err := s.conn.DisableUnitFilesContext(ctx, []string{unit}, false)
	if err != nil && !isNoSuchUnit(err) {
		return false, fmt.Errorf("cannot disable %s: %w", unit, err)
	}
	return len(changes) > 0, nil
}

// Reload implements Manager.
func (s *Systemd) Reload(ctx context.Context) error {
	if err := s.conn.ReloadContext(ctx); err != nil {
		return fmt.Errorf("cannot reload systemd: %w", err)
	}
	return nil
}

// Start implements Manager.
func (s *Systemd) Start(ctx context.Context, unit string) error {
	return waitJob(ctx, "start", unit, s.conn.StartUnitContext)
}

// Restart implements Manager.
func (s *Systemd) Restart(ctx context.Context, unit string) error {
	return waitJob(ctx, "start", unit, s.conn.RestartUnitContext)
}

// Stop implements Manager.
func (s *Systemd) Stop(ctx context.Context, unit string) error {
	err := waitJob(ctx, "stop", unit, s.conn.StopUnitContext)
	if isNoSuchUnit(err) {
		return nil
	}
	return err
}

// ResetFailed implements Manager.
func (s *Systemd) ResetFailed(ctx context.Context, unit string) error {
	if err := s.conn.ResetFailedUnitContext(ctx, unit); err != nil && !isNoSuchUnit(err) {
		return fmt.Errorf("cannot reset the failed state of %s: %w", unit, err)
	}
	return nil
}

// State returns the state of a unit in systemd's word, as active or failed. One that is not
// there is inactive; one that systemd is to start when others are up is activating already.
func (s *Systemd) State(ctx context.Context, unit string) (string, error) {
	property, err := s.conn.GetUnitPropertyContext(ctx, unit, "ActiveState")
	if err != nil {
		return "", fmt.Errorf("cannot read the state of %s: %w", unit, err)
	}
	state, isString := property.Value.Value().(string)
	if !isString {
		return "", fmt.Errorf("cannot read the state of %s: systemd says %v", unit, property.Value)
	}
	if state == "inactive" {
		if waits, err := s.readState(ctx, unit); err == nil && waits.queued {
			return "activating", nil
		}
	}
	return state, nil
}

// isNoSuchUnit looks for the one D-Bus error that means there is nothing to do.
func isNoSuchUnit(err error) bool {
	var busError bus.Error
	return errors.As(err, &busError) && busError.Name == noSuchUnit
}

// begin is the shape of go-systemd's methods that queue a job.
type begin func(ctx context.Context, unit, mode string, result chan<- string) (int, error)

// waitJob queues a job and waits for its result; an error names both the verb and the unit.
func waitJob(ctx context.Context, verb, unit string, begin begin) error {
	if err := runJob(ctx, unit, begin); err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb, unit, err)
	}
	return nil
}

// runJob queues a job and waits for its result, bounded even where systemd never tells one. An error is the
// cause alone.
func runJob(ctx context.Context, unit string, begin begin) error {
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	result := make(chan string, 1)
	if _, err := begin(ctx, unit, "replace", result); err != nil {
		return err
	}
	select {
	case word := <-result:
		return jobError(unit, word)
	case <-ctx.Done():
		return fmt.Errorf("systemd has not finished: %w; see: journalctl -b -u %s", ctx.Err(), unit)
	}
}

// jobError turns the result of a job, one of systemd's words, into an error that says where to look.
func jobError(unit, result string) error {
	if result == "done" {
		return nil
	}
	why, known := map[string]string{
		"failed":     "its program failed",
		"timeout":    "it took too long",
		"dependency": "a unit that it needs failed",
		"canceled":   "another job took the place of this one",
		"skipped":    "a condition of the unit is not met",
		"assert":     "what the unit asserts is not so",
	}[result]
	if !known {
		why = "systemd says " + result
	}
	return fmt.Errorf("%s; see: journalctl -b -u %s", why, unit)
}
