package main

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestHealthNotifies tells the service manager that it is ready, that all goes on, and that it ends; stopped by a
// signal it tells nothing, which is how the manager knows.
func TestHealthNotifies(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	flags := []string{"--root", root, "--live", "--variant", "nft"}
	inProcess(append(flags, "apply", "-q")...).want(t, exitDone)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	heard := func(within time.Duration) string {
		t.Helper()
		message := make([]byte, 1000)
		_ = socket.SetReadDeadline(time.Now().Add(within))
		n, _ := socket.Read(message)
		return string(message[:n])
	}
	watcher := natspreadCommand(t, "natspread", append(flags, "health")...)
	watcher.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	watcher.Stderr = os.Stderr
	if err := watcher.Start(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"READY=1", "WATCHDOG=1"} {
		if got := heard(hangBound); got != want {
			t.Errorf("it told %q, want %q", got, want)
		}
	}
	_ = watcher.Process.Signal(syscall.SIGSTOP)
	if got := heard(12 * time.Second); got != "" { // one beat is 10 s
		t.Errorf("stopped it told %q", got)
	}
	_ = watcher.Process.Signal(syscall.SIGCONT)
	if got := heard(hangBound); got != "WATCHDOG=1" {
		t.Errorf("it told %q when it went on", got)
	}
	_ = watcher.Process.Signal(syscall.SIGTERM)
	if got := heard(hangBound); got != "STOPPING=1" {
		t.Errorf("it told %q at its end", got)
	}
	if err := watcher.Wait(); err != nil {
		t.Errorf("it ended by %v", err)
	}
}
