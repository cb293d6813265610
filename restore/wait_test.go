package restore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore"
)

// lockFile returns a file whose lock somebody else has, until the file is closed.
func lockFile(t *testing.T, path string) *os.File {
	t.Helper()
	hosttest.Must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	hosttest.Must(t, err)
	t.Cleanup(func() { file.Close() })
	hosttest.Must(t, unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	return file
}

// TestBootWaitsForNatspread waits for another natspread as long as it is told to, which is
// longer than anybody waits at a terminal.
func TestBootWaitsForNatspread(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		two(t, host)
		held := lockFile(t, filepath.Join(host.Root, paths.Run, "lock"))
		time.AfterFunc(restore.LockTimeout+time.Second, func() { held.Close() })
		began := time.Now()
		host.Wait = time.Minute
		_, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		if took := time.Since(began); took < restore.LockTimeout {
			t.Errorf("it took %v only", took)
		}
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
	})
}

// TestBootWaitsForIPTables waits for the lock of iptables, which only the legacy variant
// takes, for longer than one iptables-restore may run.
func TestBootWaitsForIPTables(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.Legacy {
			return
		}
		host := newHost(t, variant)
		two(t, host)
		held, runs := lockFile(t, os.Getenv(program.LockVariable)), 0
		run := host.Run
		host.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.HasSuffix(name, "-restore") {
				if runs++; runs == 2 {
					held.Close()
				}
			}
			return run(ctx, stdin, name, args...)
		}
		host.Wait = time.Minute
		_, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		if runs < 2 {
			t.Error("it did not wait")
		}
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
	})
}

// TestBootWaitEnds gives up when the time is over that all locks have together, and then
// nothing was changed.
func TestBootWaitEnds(t *testing.T) {
	t.Parallel()
	for _, lock := range []string{"natspread's", "iptables'"} {
		t.Run(lock, func(t *testing.T) {
			hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
				if variant != rules.Legacy {
					return // nft takes one of them only
				}
				host := newHost(t, variant)
				two(t, host)
				before := state(t, host)
				path := os.Getenv(program.LockVariable)
				if lock == "natspread's" {
					path = filepath.Join(host.Root, paths.Run, "lock")
				}
				lockFile(t, path)
				began := time.Now()
				host.Wait = 6 * time.Second // of which an iptables-restore gives up after five
				_, err := host.Restore(t.Context())
				wantUnchanged(t, host, before, err, program.ErrBusy)
				if took := time.Since(began); took < host.Wait || took > host.Wait+restore.LockTimeout+busy {
					t.Errorf("it took %v, want %v", took, host.Wait)
				}
			})
		})
	}
}

// TestBusyAtOnce has programs that find the lock held and do not wait for it: they are run
// again after a pause.
func TestBusyAtOnce(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		two(t, host)
		runs := 0
		run := host.Run
		host.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.HasSuffix(name, "-restore") {
				runs++
				return nil, &program.Error{Name: name, Args: args, Code: 4, Err: fmt.Errorf("%w: held", program.ErrBusy)}
			}
			return run(ctx, stdin, name, args...)
		}
		host.Wait = time.Second
		_, err := host.Restore(t.Context())
		wantClass(t, err, program.ErrBusy)
		if runs < 2 || runs > 30 {
			t.Errorf("it was run %d times", runs)
		}
	})
}
