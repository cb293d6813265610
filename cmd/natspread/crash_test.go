package main

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/test/hosttest"
)

// TestCrash lets the kernel give no more memory to a natspread that reads a config: it ends by a signal, which no exit
// code of its own stands for, and says what its goroutines did.
func TestCrash(t *testing.T) {
	t.Parallel()
	cmd := natspreadCommand(t, "natspread", "render", "--config", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	hosttest.Must(t, err)
	hosttest.Must(t, cmd.Start())
	line := "# " + strings.Repeat("x", 1000) + "\n"
	_, err = stdin.Write([]byte(strings.Repeat(line, 100))) // more than the pipe holds, so that it reads
	hosttest.Must(t, err)
	for _, limit := range []int{unix.RLIMIT_CORE, unix.RLIMIT_DATA} {
		hosttest.Must(t, unix.Prlimit(cmd.Process.Pid, limit, &unix.Rlimit{}, nil))
	}
	_, _ = stdin.Write([]byte(strings.Repeat(line, 8000))) // until nobody reads any more
	_ = stdin.Close()
	_ = cmd.Wait() // its state says how it ended
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT || !strings.Contains(stderr.String(), "\ngoroutine ") {
		t.Errorf("it ended with %v:\n%.2000s", cmd.ProcessState, stderr.String())
	}
}
