package main

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

// scheduleTimeout bounds the calls of systemd for a trial: the lock is held.
const scheduleTimeout = 20 * time.Second

// revertTimer is what reverts a trial when nobody confirms it; the words name it.
type revertTimer struct{ words string }

// scheduleRevert returns the function that starts a trial's timer, and the timer that it
// starts: one of systemd, which outlives whatever happens to this process and its
// terminal, or without systemd a process of its own.
func (s *session) scheduleRevert() (func(ctx context.Context, after time.Duration) (func(context.Context), error), *revertTimer) {
	started := &revertTimer{}
	return func(ctx context.Context, after time.Duration) (cancel func(context.Context), err error) {
		ctx, done := context.WithTimeout(ctx, scheduleTimeout)
		defer done()
		path, err := program.Running()
		if err != nil {
			return nil, fmt.Errorf("cannot schedule the revert: %w", err)
		}
		args := []string{"--root", s.root, "rollback", "--overdue"}
		if s.live {
			args = append(args, "--live")
		}
		if namespace.Network() == namespace.Another { // where systemd would revert the machine's own rules
			started.words, err = detach(path, args, "systemd is in another network namespace")
			return func(context.Context) {}, err
		}
		running, err := s.connect(ctx)
		switch {
		case errors.Is(err, units.ErrNotRunning):
			started.words, err = detach(path, args, "systemd is not running")
			return func(context.Context) {}, err // it finds out by itself that there is nothing to do
		case err != nil:
			return nil, err
		}
		defer running.Close()
		started.words = "systemd's " + units.RevertTimer
		return func(ctx context.Context) { _ = s.cancelRevert(ctx) }, running.ScheduleRevert(ctx, units.Revert{
			Program: path, Args: args, After: after, Env: program.LockEnv(),
			Writes: append(program.LockWrites(), filepath.Join(s.root, paths.State), filepath.Join(s.root, paths.Run)),
		})
	}, started
}

// cancelRevert stops the timer of a trial that is over, if systemd runs here. Without that
// it would find nothing to do.
func (s *session) cancelRevert(ctx context.Context) error {
	if namespace.Network() == namespace.Another { // its timer is that of another trial
		return nil
	}
	ctx, done := context.WithTimeout(ctx, scheduleTimeout)
	defer done()
	running, err := s.connect(ctx)
	if errors.Is(err, units.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer running.Close()
	return running.CancelRevert(ctx)
}

// detach starts the revert as a process of its own, and names it and why it was not systemd.
func detach(path string, args []string, why string) (string, error) {
	id, err := program.Detach(path, args...)
	if err != nil {
		return "", fmt.Errorf("cannot schedule the revert: %w", err)
	}
	return fmt.Sprintf("process %d (%s: if this process is killed, nothing rolls back)", id, why), nil
}
