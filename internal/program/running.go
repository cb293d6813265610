package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Running returns the path of this program, which must still be there: it is run again
// later, and an upgrade may have removed it.
func Running() (string, error) {
	path, err := os.Executable()
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("cannot find the running program: %w", err)
	}
	return path, nil
}

// Path returns the path of the running program, behind links. A chroot without /proc does not
// say it: there it is what the shell found.
func Path() (string, error) {
	self, err := os.Executable()
	if err != nil {
		if self, err = exec.LookPath(os.Args[0]); err == nil {
			self, err = filepath.Abs(self)
		}
	}
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(self)
}

// Detach starts a program that no signal to this process, its group or its terminal
// reaches, and that outlives it.
func Detach(path string, args ...string) (id int, err error) {
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.Env = append(LockEnv(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	id = cmd.Process.Pid // which Release forgets
	return id, cmd.Process.Release()
}

// Traced returns a runner that tells of each program that another one ran.
func Traced(run Runner, tell func(format string, args ...any)) Runner {
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		began := time.Now()
		stdout, err := run(ctx, stdin, name, args...)
		ended := "done"
		if err != nil {
			ended = "failed"
		}
		tell("ran %s %s: %s after %v", name, strings.Join(args, " "), ended, time.Since(began).Round(time.Millisecond))
		return stdout, err
	}
}
