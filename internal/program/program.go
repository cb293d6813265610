// Package program runs other programs: by their absolute path, with a clean environment,
// bounded in time and output. They are killed with the process that began them, and what
// outlives it still holds its locks.
package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Timeout bounds each program that natspread runs.
const Timeout = 30 * time.Second

// Runner runs a program by its absolute path and returns what it printed on
// standard output. It is the one seam for running programs; a failed program is a
// *Error.
type Runner func(ctx context.Context, stdin []byte, name string, args ...string) (stdout []byte, err error)

// Error is a program that could not be started, failed or did not end.
type Error struct {
	Name   string
	Args   []string
	Code   int    // exit code; -1 when it did not exit by itself
	Stderr string // what it said, trimmed
	Err    error  // the cause, for errors.Is
}

// Error names the program and what it said, or how it ended when it said nothing.
func (e *Error) Error() string {
	said := e.Stderr
	if said == "" {
		said = e.Err.Error()
	}
	return fmt.Sprintf("%s: %s", strings.Join(append([]string{e.Name}, e.Args...), " "), said)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors that callers branch on; each is an exit code of the command line.
var (
	// ErrNoRights: CAP_NET_ADMIN, or what a namespace takes, is missing.
	ErrNoRights = errors.New("no rights")
	// ErrMissing: a program, or a match or target of iptables, is not there.
	ErrMissing = errors.New("missing")
	// ErrBusy: a lock was not free in time.
	ErrBusy = errors.New("lock busy")
)

// Exec returns the Runner that really runs programs: in a process group of their own,
// killed after Timeout, or when this process is killed, with an environment that holds
// nothing of the caller's but LockVariable, or the lock of WithLock. They share no lock.
func Exec() Runner { return new(Locks).Exec() }

// Exec is the function Exec for programs that share these locks.
func (l *Locks) Exec() Runner {
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, Timeout)
		defer cancel()
		stderr := &limited{left: 1 << 16}
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, lockEnv(ctx)...)
		cmd.Dir = "/"
		printed, release := connect(cmd, stdin, maxOutput)
		defer release()
		cmd.Stderr = stderr
		cmd.ExtraFiles = l.held()
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = time.Second
		began := time.Now()
		err := runHere(cmd)
		stdout, full, unread := printed()
		switch {
		case errors.Is(err, exec.ErrWaitDelay): // a child of the program's holds its output
			_ = cmd.Cancel()
		case full || err != nil && stderr.full:
			err = errEndless // the program itself saw only that it could not write, and may have ended well
		case err == nil:
			err = unread
		}
		if err != nil {
			return nil, newError(ctx, cmd, time.Since(began), stderr.kept.String(), err)
		}
		return stdout, nil
	}
}

// runHere runs a program on a thread that nobody else uses meanwhile. The kernel sends the
// signal of Pdeathsig when the thread ends that started the program (prctl(2)), not the
// process. Go ends a thread only with a goroutine that holds it: another goroutine might
// take this one while the program runs, and end it, as a proof does with its namespace.
func runHere(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

// LockVariable says where iptables(8) keeps its lock. Every iptables that runs for natspread
// gets it, too: with another lock it would exclude nobody.
const LockVariable = "XTABLES_LOCKFILE"

// LockEnv returns the variable as it is set here, as NAME=VALUE; none if it is not set.
func LockEnv() []string {
	if lock := os.Getenv(LockVariable); lock != "" {
		return []string{LockVariable + "=" + lock}
	}
	return nil
}

// lockKey is the key of a context that has the path of another lock of iptables.
type lockKey struct{}

// WithLock returns a context in which programs use that file as the lock of iptables. It is for a
// network namespace that nothing else uses: there no program has to wait for another.
func WithLock(ctx context.Context, path string) context.Context {
	return context.WithValue(ctx, lockKey{}, path)
}

// lockEnv is LockEnv with the lock of a context, if it has one.
func lockEnv(ctx context.Context) []string {
	if path, set := ctx.Value(lockKey{}).(string); set {
		return []string{LockVariable + "=" + path}
	}
	return LockEnv()
}

// LockWrites returns the directory of that lock, if the variable names one, as a path that a sandbox of systemd's
// lets be written to; the "-" lets it be missing.
func LockWrites() []string {
	if lock := os.Getenv(LockVariable); filepath.IsAbs(lock) {
		return []string{"-" + filepath.Dir(lock)}
	}
	return nil
}

// newError tells how a program failed after it ran for some time, and which of
// the errors that callers know it amounts to.
func newError(ctx context.Context, cmd *exec.Cmd, ran time.Duration, stderr string, err error) *Error {
	failed := &Error{
		Name: cmd.Path, Args: cmd.Args[1:], Code: -1,
		Stderr: meaningful(stderr), Err: err,
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		failed.Stderr = ""
		failed.Err = fmt.Errorf("killed after %v: %w", ran.Round(time.Second), ctx.Err())
	case errors.Is(err, errEndless):
		failed.Stderr = ""
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC):
		failed.Err = fmt.Errorf("%w: %w", ErrMissing, err)
	case errors.As(err, &exit):
		failed.Code = exit.ExitCode()
		if cause := causeOf(failed.Code, stderr); cause != nil {
			failed.Err = fmt.Errorf("%w: %w", cause, err)
		}
	}
	return failed
}

// meaningful drops the lines of iptables that say nothing about the cause.
func meaningful(stderr string) string {
	var kept []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "Try `") && !strings.HasPrefix(line, "# Warning:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "; ")
}

// causes maps what the iptables programs say to the errors that callers know.
// Their exit codes do not tell: 4 is a held lock as well as missing rights. The
// words do not either: of the lock there is talk also when it came free in time.
var causes = []struct {
	said  string
	cause error
}{
	{"holding the xtables lock", ErrBusy},
	{"you must be root", ErrNoRights},
	{"Operation not permitted", ErrNoRights},
	{"Couldn't load match", ErrMissing},
	{"Couldn't load target", ErrMissing},
	{"missing kernel module", ErrMissing},
	{"do you need to insmod", ErrMissing},
	{"Can't find library", ErrMissing},
	{"Protocol not supported", ErrMissing},
	{"No chain/target/match by that name", ErrMissing},
}

// causeOf returns the known error behind what a program said, or nil.
func causeOf(code int, stderr string) error {
	const resourceProblem = 4
	for _, known := range causes {
		if strings.Contains(stderr, known.said) && (known.cause != ErrBusy || code == resourceProblem) {
			return known.cause
		}
	}
	return nil
}
