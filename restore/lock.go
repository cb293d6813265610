package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"natspread/internal/program"

	"golang.org/x/sys/unix"
)

// lockName is the file of the lock, in the run directory.
const lockName = "lock"

// lockTimeout bounds the wait for another natspread.
const lockTimeout = 5 * time.Second

// lock takes the lock of that name, which keeps two natspreads apart, waiting up to
// lockTimeout, and returns what gives it back. The kernel frees it when a holder dies.
func lock(ctx context.Context, runDir, name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(runDir), 0o755); err != nil {
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
	if err := flock(ctx, file, unix.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// lockOut keeps other natspreads from changing anything, as lock does, while those who
// only look do not exclude one another. It leaves no trace: where there is no lock yet,
// nobody changes anything.
func lockOut(ctx context.Context, runDir, name string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(runDir, name), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return func() {}, nil
	}
	return func() { file.Close() }, flock(ctx, file, unix.LOCK_SH)
}

// flock takes the lock of a file, as flock(2) names how, waiting up to lockTimeout.
func flock(ctx context.Context, file *os.File, how int) error {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
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
			return fmt.Errorf("cannot lock %s within %v: %w: another natspread is at work, try again when it is done", file.Name(), lockTimeout, program.ErrBusy)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
