package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/units"
)

// armTimeout bounds the talk with systemd on a trial's way back: the lock is held.
const armTimeout = 20 * time.Second

// guard is what takes a trial back when nobody confirms it.
type guard struct {
	words string // names it, for people
}

// arm returns the function that starts a trial's guard, and the guard that it
// starts: a timer of systemd, which outlives whatever happens to this process and
// its session, or without systemd a process of its own.
func (s *session) arm(o options) (func(ctx context.Context, after time.Duration) (func(context.Context), error), *guard) {
	started := &guard{}
	return func(ctx context.Context, after time.Duration) (disarm func(context.Context), err error) {
		ctx, cancel := context.WithTimeout(ctx, armTimeout)
		defer cancel()
		path, err := runningProgram()
		if err != nil {
			return nil, fmt.Errorf("cannot arm the way back: %w", err)
		}
		args := []string{"--root", o.root, "rollback", "--overdue"}
		running, err := s.connect(ctx)
		switch {
		case errors.Is(err, units.ErrNotRunning):
			started.words, err = detach(path, args)
			return func(context.Context) {}, err // it sees for itself that there is nothing to do
		case err != nil:
			return nil, err
		}
		defer running.Close()
		started.words = "systemd's " + units.UndoTimer
		return func(ctx context.Context) { _ = s.disarm(ctx) }, running.ArmUndo(ctx, units.Undo{
			Program: path, Args: args, After: after, Env: program.LockEnv(),
			Writes: append(lockWrites(), filepath.Join(o.root, paths.State), filepath.Join(o.root, paths.Run)),
		})
	}, started
}

// disarm stops the timer of a trial that is over, if systemd runs here. Without that
// it would find nothing to do.
func (s *session) disarm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, armTimeout)
	defer cancel()
	running, err := s.connect(ctx)
	if errors.Is(err, units.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer running.Close()
	return running.DisarmUndo(ctx)
}

// lockWrites returns the directory of the lock that iptables is told, to be written to where
// it is there.
func lockWrites() []string {
	if lock := os.Getenv(program.LockVariable); filepath.IsAbs(lock) {
		return []string{"-" + filepath.Dir(lock)}
	}
	return nil
}

// detach starts a program that no signal to this process, its group or its terminal
// reaches, and names it.
func detach(path string, args []string) (string, error) {
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.Env = append(program.LockEnv(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("cannot arm the way back: %w", err)
	}
	words := fmt.Sprintf("process %d, for want of systemd: weaker, as nothing takes it back should that be killed", cmd.Process.Pid)
	return words, cmd.Process.Release()
}

// runningProgram returns the path of this program, which must still be there: it is
// run again later.
func runningProgram() (string, error) {
	program, err := os.Executable()
	if err == nil {
		_, err = os.Stat(program) // an upgrade may have taken it away
	}
	if err != nil {
		return "", fmt.Errorf("cannot find the running program: %w", err)
	}
	return program, nil
}
