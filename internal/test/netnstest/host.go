package netnstest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Host is a network namespace in the part of another machine.
type Host struct {
	path   string
	source netip.Addr     // zero: the kernel chooses
	ports  *atomic.Uint32 // source ports handed out to UDP asks so far
}

// Self is the test's own network namespace. Each call counts UDP source ports
// from the start, so ask from one value of it (a Network's Balancer).
func Self() *Host {
	return &Host{path: "/proc/self/ns/net", ports: new(atomic.Uint32)}
}

// NewHost makes a network namespace with lo up that `ip -n NAME` knows too. Only
// a mount inside the child's mount namespace holds it, so it can't outlive the
// test; it is dropped when t ends.
func NewHost(t testing.TB, name string) *Host {
	t.Helper()
	if !strings.HasPrefix(os.Getenv(markName), entered+" ") {
		t.Fatalf("cannot make host %s: Isolate was not called", name)
	}
	h := &Host{path: filepath.Join(hostsDir, name), ports: new(atomic.Uint32)}
	var err error
	onThread(func() { err = pinNamespace(h.path) })
	if err != nil {
		t.Fatalf("cannot make host %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = unix.Unmount(h.path, unix.MNT_DETACH)
		if err := os.Remove(h.path); err != nil {
			t.Errorf("cannot drop host %s: %v", name, err)
		}
	})
	return h
}

// pinNamespace moves the calling thread to a new network namespace and holds
// that by a mount.
func pinNamespace(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
		return &fs.PathError{Op: "bind", Path: path, Err: err}
	}
	return settleNetwork()
}

// At is the same host, asking from one of its addresses.
func (h *Host) At(source netip.Addr) *Host {
	return &Host{path: h.path, source: source, ports: h.ports}
}

// Do runs a function whose system calls, sockets and processes belong to the
// host. A socket made there stays there and may be used anywhere.
func (h *Host) Do(t testing.TB, do func()) {
	t.Helper()
	finished := false
	err := h.within(func() {
		do()
		finished = true
	})
	switch {
	case err != nil:
		t.Fatal(err)
	case !finished && t.Skipped():
		t.SkipNow()
	case !finished: // the function ended its goroutine, not the test's
		t.FailNow()
	}
}

// within is Do for any goroutine.
func (h *Host) within(do func()) error {
	var err error
	onThread(func() {
		if err = enterNetwork(h.path); err == nil {
			do()
		}
	})
	if err != nil {
		return fmt.Errorf("cannot enter the network namespace %s: %w", h.path, err)
	}
	return nil
}

// Command runs a program on the host with that standard input and returns its
// standard output; an exit code other than 0 fails the test.
func (h *Host) Command(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	out, err := h.run(t.Context(), stdin, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run is Command for any goroutine.
func (h *Host) run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	var failure error
	if err := h.within(func() { failure = cmd.Run() }); err != nil {
		return "", err
	}
	if failure != nil {
		return "", fmt.Errorf("cannot run %s: %w: %s", strings.Join(cmd.Args, " "), failure, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Sysctl sets a value such as net.ipv4.ip_forward on the host.
func (h *Host) Sysctl(t testing.TB, name, value string) {
	t.Helper()
	var err error
	h.Do(t, func() { err = writeSysctl(name, value) })
	if err != nil {
		t.Fatalf("cannot set %s: %v", name, err)
	}
}

// enterNetwork moves the calling thread.
func enterNetwork(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("setns", unix.Setns(int(f.Fd()), unix.CLONE_NEWNET))
}

// onThread runs a function on a thread that ends with it. Never on the main
// thread: /proc/self shows that one's namespaces, and it can't end.
func onThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThread(do)
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	<-done
}
