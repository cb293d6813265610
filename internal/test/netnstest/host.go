package netnstest

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/nethost"
	"natspread/internal/traffic"
)

// Host is a network namespace in the part of another machine.
type Host struct {
	*nethost.Host
	asker traffic.Asker
}

// Self is the test's own network namespace. Each call counts UDP source ports
// from the start, so ask from one value of it (a Network's Balancer).
func Self() *Host { return &Host{nethost.Self(), traffic.NewAsker()} }

// NewHost makes a network namespace with lo up that `ip -n NAME` knows too. Only
// a mount inside the child's mount namespace holds it, so it can't outlive the
// test; it is dropped when t ends.
func NewHost(t testing.TB, name string) *Host {
	t.Helper()
	if !strings.HasPrefix(os.Getenv(markName), entered+" ") {
		t.Fatalf("cannot make host %s: Isolate was not called", name)
	}
	pinned, err := nethost.Pin(filepath.Join(hostsDir, name))
	if err != nil {
		t.Fatalf("cannot make host %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = unix.Unmount(pinned.Path(), unix.MNT_DETACH)
		if err := os.Remove(pinned.Path()); err != nil {
			t.Errorf("cannot drop host %s: %v", name, err)
		}
	})
	return &Host{pinned, traffic.NewAsker()}
}

// At is the same host, asking from one of its addresses.
func (h *Host) At(source netip.Addr) *Host { return &Host{h.Host, h.asker.At(source)} }

// Do runs a function whose system calls, sockets and processes belong to the
// host. A socket made there stays there and may be used anywhere.
func (h *Host) Do(t testing.TB, do func()) {
	t.Helper()
	finished := false
	err := h.Host.Do(func() error {
		do()
		finished = true
		return nil
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
	if err := h.Host.Do(cmd.Run); err != nil {
		return "", fmt.Errorf("cannot run %s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Sysctl sets a value such as net.ipv4.ip_forward on the host.
func (h *Host) Sysctl(t testing.TB, name, value string) {
	t.Helper()
	var err error
	h.Do(t, func() { err = nethost.SetSysctl(name, value) })
	if err != nil {
		t.Fatalf("cannot set %s: %v", name, err)
	}
}

// OnThread is nethost.OnThread for a function that fails a test by itself.
func OnThread(do func()) {
	_ = nethost.OnThread(func() error { do(); return nil })
}
