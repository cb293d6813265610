// Package trial exists so that a change that nobody confirms is reverted, even if the process that
// made the change has ended.
package trial

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"natspread/internal/namespace"
	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/units"
)

// timeout bounds the calls of systemd: the lock is held.
const timeout = 20 * time.Second

// Systemd is what a trial asks of the running systemd.
type Systemd interface {
	ScheduleRevert(context.Context, units.Revert) error
	CancelRevert(context.Context) error
	Close()
}

// Timer is what reverts a trial when nobody confirms it: one of systemd, which outlives whatever
// happens to this process and its terminal, or without systemd a process of its own.
type Timer struct {
	Root    string // where the state is
	Live    bool   // the revert changes the running kernel, also with another root
	Connect func(context.Context) (Systemd, error)
	words   string
}

// String names the timer that was started: "reverted by" goes before it.
func (t *Timer) String() string { return t.words }

// Start starts the timer, and returns what stops it.
func (t *Timer) Start(ctx context.Context, after time.Duration) (cancel func(context.Context), err error) {
	ctx, done := context.WithTimeout(ctx, timeout)
	defer done()
	path, err := program.Running()
	if err != nil {
		return nil, fmt.Errorf("cannot schedule the revert: %w", err)
	}
	args := []string{"--root", t.Root, "rollback", "--overdue"}
	if t.Live {
		args = append(args, "--live")
	}
	if namespace.Network() == namespace.Another { // where systemd would revert the machine's own rules
		return t.detach(path, args, "systemd is in another network namespace")
	}
	running, err := t.Connect(ctx)
	switch {
	case errors.Is(err, units.ErrNotRunning):
		return t.detach(path, args, "systemd is not running")
	case err != nil:
		return nil, err
	}
	defer running.Close()
	t.words = "systemd's " + units.RevertTimer
	return func(ctx context.Context) { _ = t.Cancel(ctx) }, running.ScheduleRevert(ctx, units.Revert{
		Program: path, Args: args, After: after, Env: program.LockEnv(),
		Writes: append(program.LockWrites(), filepath.Join(t.Root, paths.State), filepath.Join(t.Root, paths.Run)),
	})
}

// Cancel stops the timer of a trial that is over, if systemd runs here. A timer that still runs would
// find nothing to revert.
func (t *Timer) Cancel(ctx context.Context) error {
	if namespace.Network() == namespace.Another { // its timer is that of another trial
		return nil
	}
	ctx, done := context.WithTimeout(ctx, timeout)
	defer done()
	running, err := t.Connect(ctx)
	if errors.Is(err, units.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer running.Close()
	return running.CancelRevert(ctx)
}

// detach starts the revert as a process of its own, and says why it is not systemd's. Nothing
// needs to stop it: it finds out by itself that there is nothing to do.
func (t *Timer) detach(path string, args []string, why string) (cancel func(context.Context), err error) {
	id, err := program.Detach(path, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot schedule the revert: %w", err)
	}
	t.words = fmt.Sprintf("process %d (%s: if this process is killed, nothing rolls back)", id, why)
	return func(context.Context) {}, nil
}
