package restore

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// inScratchNamespace runs f on a thread that has a new, empty network namespace
// to itself; programs that f starts inherit it. The thread is never given back, so
// it ends with f and takes the namespace along, whatever f did there.
func inScratchNamespace(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and no unlock
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("%w: cannot make a network namespace, which takes CAP_SYS_ADMIN: %w", ErrNoRights, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// HasNetAdmin tells whether this process may change the nat table.
func HasNetAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}
