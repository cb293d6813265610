package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"natspread/internal/nethost"
	"natspread/internal/program"
	"natspread/internal/rules"
)

// inScratchNamespace runs f on a thread that has a new, empty network namespace
// to itself; programs that f starts inherit it. The thread ends with f and takes the namespace
// along, whatever f did there.
func inScratchNamespace(f func() error) error {
	return nethost.OnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return noNamespace(err)
		}
		return f()
	})
}

// withOwnLock returns a context for a scratch namespace, in which programs of the legacy variant
// take a lock of their own: a file in memory, which they open by the descriptor of this process
// until done is called. Without such a file, or without a /proc that shows it, they take the one that all take.
func (k Kernel) withOwnLock(ctx context.Context) (own context.Context, done func()) {
	if k.Variant != rules.Legacy {
		return ctx, func() {}
	}
	fd, err := unix.MemfdCreate("lock", unix.MFD_CLOEXEC)
	if err != nil {
		return ctx, func() {}
	}
	path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
	if leadsTo(path, fd) {
		ctx = program.WithLock(ctx, path)
	}
	return ctx, func() { unix.Close(fd) }
}

// leadsTo tells whether a path leads to the file of a descriptor. Where /proc is that of another process
// namespace, a path there may lead to a file of somebody else.
func leadsTo(path string, fd int) bool {
	var there, own unix.Stat_t
	return unix.Stat(path, &there) == nil && unix.Fstat(fd, &own) == nil && there.Dev == own.Dev && there.Ino == own.Ino
}

// ErrNoNamespace says that nothing could be proven, which is not that a proof failed.
var ErrNoNamespace = errors.New("cannot make a network namespace")

// noNamespace returns why there is no namespace. A right is missing only where the kernel says
// so (EPERM); it may also have as many as it may (ENOSPC), or make none.
func noNamespace(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: %w, which takes CAP_SYS_ADMIN: %w", program.ErrNoRights, ErrNoNamespace, err)
	}
	return fmt.Errorf("%w: %w", ErrNoNamespace, err)
}
