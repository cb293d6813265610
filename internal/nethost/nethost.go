// Package nethost lets network namespaces play hosts that veth pairs join. It must not know what is
// played there.
//
// A host without a name is held by this process alone, and ends with it, however it ends.
package nethost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Host is a network namespace in the part of another machine.
type Host struct {
	path string
	held *os.File // nil where something else holds the namespace
}

// At is the host of a namespace that something else holds, by the path of it.
func At(path string) *Host { return &Host{path: path} }

// Self is the host of the process's own namespace.
func Self() *Host { return At("/proc/self/ns/net") }

// New makes a host that no name leads to, as Settle leaves it. Close gives it up.
func New() (*Host, error) {
	var h *Host
	err := onNew(func() error {
		held, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		h = &Host{path: fmt.Sprintf("/proc/self/fd/%d", held.Fd()), held: held}
		return nil
	})
	if err != nil && h != nil {
		h.Close()
	}
	return h, err
}

// Pin makes a host that a new file leads to, as ip(8) has them: a mount holds it.
func Pin(path string) (*Host, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return nil, err
	}
	file.Close()
	return At(path), onNew(func() error {
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return &fs.PathError{Op: "bind", Path: path, Err: err}
		}
		return nil
	})
}

// onNew makes a namespace, settles it and has a function keep it.
func onNew(keep func() error) error {
	return OnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		return errors.Join(keep(), Settle())
	})
}

// Close gives up a host that New made. The kernel ends it when nothing is left in it.
func (h *Host) Close() { h.held.Close() }

// Path leads to the namespace.
func (h *Host) Path() string { return h.path }

// Do runs a function whose system calls, sockets and programs belong to the host. A socket that
// is made there stays there, and may be used anywhere.
func (h *Host) Do(do func() error) error {
	return OnThread(func() error {
		if err := h.Enter(); err != nil {
			return err
		}
		return do()
	})
}

// Enter moves the calling thread to the host. Do it on a thread of OnThread only.
func (h *Host) Enter() error {
	file, err := os.Open(h.path)
	if err == nil {
		defer file.Close()
		err = os.NewSyscallError("setns", unix.Setns(int(file.Fd()), unix.CLONE_NEWNET))
	}
	if err != nil {
		return fmt.Errorf("cannot enter the network namespace %s: %w", h.path, err)
	}
	return nil
}

// OnThread runs a function on a thread that ends with it, and that may go to other namespaces or
// to another root; programs that it starts inherit these. It is never the first thread of the
// process: that one never ends, and /proc/self shows everybody where it is.
func OnThread(do func() error) error {
	// The function may end its goroutine, as t.FailNow does.
	done, result := make(chan struct{}), error(nil)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and no unlock, but of the first thread
		if unix.Gettid() == unix.Getpid() {
			result = OnThread(do) // on another, as this one is held
			runtime.UnlockOSThread()
			return
		}
		result = do()
	}()
	<-done
	return result
}

// Settle brings the new namespace of the calling thread to one known state: lo is up, and no
// value is left that the kernel copies from the machine's own namespace. Without accept_dad an
// IPv6 link-local address is usable at once, not after 1 s.
func Settle() error {
	return errors.Join(
		loopbackUp(),
		SetSysctl("net.ipv4.ip_forward", "0"),
		SetSysctl("net.ipv4.conf.all.rp_filter", "0"),
		SetSysctl("net.ipv4.conf.default.rp_filter", "0"),
		settleIPv6(),
	)
}

// HasIPv6 tells whether this kernel has IPv6: it can be booted without.
func HasIPv6() bool {
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
}

// settleIPv6 is the part of Settle for IPv6.
func settleIPv6() error {
	if !HasIPv6() {
		return nil
	}
	return errors.Join(
		SetSysctl("net.ipv6.conf.all.disable_ipv6", "0"),
		SetSysctl("net.ipv6.conf.default.disable_ipv6", "0"),
		SetSysctl("net.ipv6.conf.all.forwarding", "0"),
		SetSysctl("net.ipv6.conf.all.accept_dad", "0"),
		SetSysctl("net.ipv6.conf.default.accept_dad", "0"),
	)
}

// SetSysctl sets a value of the calling thread's network namespace.
func SetSysctl(name, value string) error {
	return os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0)
}

// loopbackUp is "ip link set lo up" without a program.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("ioctl SIOCSIFFLAGS lo", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request))
}
