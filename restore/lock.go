package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"natspread/internal/atomicfile"
	"natspread/internal/program"

	"golang.org/x/sys/unix"
)

// lockName is the file of the lock, in the run directory.
const lockName = "lock"

// LockTimeout bounds the wait for a lock where Host.Wait says nothing: somebody sits at a
// terminal.
const LockTimeout = 5 * time.Second

// lockFile takes the lock of that name, which keeps two natspreads apart, waiting that long at
// most, and returns its file. The kernel frees it when the last process that has the file
// open ends. A root that was removed meanwhile is not made anew.
func (h Host) lockFile(ctx context.Context, name string, wait time.Duration) (*os.File, error) {
	if _, err := os.Stat(h.Root); err != nil {
		return nil, fmt.Errorf("cannot lock: %w", err)
	}
	runDir := h.runDir()
	if err := atomicfile.MkdirAll(filepath.Dir(runDir), 0o755); err != nil {
		return nil, fmt.Errorf("cannot lock: %w", err)
	}
	if err := os.Mkdir(runDir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cannot lock: %w", err)
	}
	path := filepath.Join(runDir, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock: %w", err)
	}
	if err := flock(ctx, file, unix.LOCK_EX, wait); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// lockOut keeps other natspreads from changing anything, as lock does, while those who
// only look do not exclude one another. It leaves no trace: where there is no lock yet,
// nobody changes anything.
func lockOut(ctx context.Context, runDir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(runDir, lockName), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return func() {}, nil
	}
	return func() { file.Close() }, flock(ctx, file, unix.LOCK_SH, LockTimeout)
}

// isLocked tells whether the lock of that name is held.
func isLocked(runDir, name string) bool {
	file, err := os.OpenFile(filepath.Join(runDir, name), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// flock takes the lock of a file, as flock(2) names how, waiting that long at most.
func flock(ctx context.Context, file *os.File, how int, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("cannot lock %s: %w", file.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot lock %s within %v: %w: %sanother natspread is at work, try again when it is done",
				file.Name(), wait, program.ErrBusy, heldBy(file))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// heldBy names, for a message, the processes that hold the lock of a file: a natspread, and
// what it runs. If that natspread was killed, only what it ran is left, and somebody may
// have to end that. It is "" where /proc does not show them.
func heldBy(lock *os.File) string {
	own, err := lock.Stat()
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	var holders []string
	for _, file := range files {
		if open, statErr := os.Stat(file); err != nil || statErr != nil || !os.SameFile(open, own) {
			continue
		}
		process, number := filepath.Dir(filepath.Dir(file)), filepath.Base(file)
		// Who waits has the file open, too: proc_pid_fdinfo(5) tells who holds the lock.
		if info, _ := os.ReadFile(filepath.Join(process, "fdinfo", number)); !strings.Contains(string(info), "FLOCK") {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(process, "comm"))
		holders = append(holders, fmt.Sprintf("%s (%s)", filepath.Base(process), strings.TrimSpace(string(name))))
	}
	if len(holders) == 0 {
		return ""
	}
	return "held by process " + strings.Join(holders, " and ") + ": "
}
