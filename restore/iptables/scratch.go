package iptables

import (
	"errors"
	"fmt"
	"runtime"

	"natspread/internal/program"

	"golang.org/x/sys/unix"
)

// inScratchNamespace runs f on a thread that has a new, empty network namespace
// to itself; programs that f starts inherit it. The thread is never given back, so
// it ends with f and takes the namespace along, whatever f did there. Only the
// first thread of a process never ends, and /proc/self shows everyone its
// namespaces, so that one is not taken.
func inScratchNamespace(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and no unlock, but of the first thread
		if unix.Gettid() == unix.Getpid() {
			done <- inScratchNamespace(f) // on another, as this one is held
			runtime.UnlockOSThread()
			return
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("%w: %w: %w", program.ErrNoRights, ErrNoNamespace, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// ErrNoNamespace says that nothing could be proven, which is not that a proof failed.
var ErrNoNamespace = errors.New("cannot make a network namespace, which takes CAP_SYS_ADMIN")

// HasNetAdmin tells whether this process may change the nat table.
func HasNetAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}
