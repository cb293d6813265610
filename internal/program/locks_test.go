package program_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/test/await"
)

// sh is where every host has it.
const sh = "/bin/sh"

// The environment of a process that runs a script under a lock: see TestMain.
const (
	scriptName = "PROGRAM_TEST_SCRIPT"
	lockName   = "PROGRAM_TEST_LOCK" // its file
)

// TestMain lets this test binary be a process that a test can kill: one that takes a lock,
// shares it and runs a script of sh.
func TestMain(m *testing.M) {
	script := os.Getenv(scriptName)
	if script == "" {
		os.Exit(m.Run())
	}
	file, err := os.OpenFile(os.Getenv(lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		locks := new(program.Locks)
		locks.Share(file)
		_, err = locks.Exec()(context.Background(), nil, sh, "-c", script)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// killed runs a script under a lock in a process that is killed when the script has written
// a number of processes, their numbers, into the file $PIDS. It returns these, and the file
// of the lock.
func killed(t *testing.T, script string, processes int) (pids []int, lock string) {
	t.Helper()
	dir := t.TempDir()
	lock, file := filepath.Join(dir, "lock"), filepath.Join(dir, "pids")
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), scriptName+"=PIDS="+file+"\n"+script, lockName+"="+lock)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	await.True(t, "the script runs", func() bool {
		text, _ := os.ReadFile(file)
		return strings.Count(string(text), "\n") == processes
	})
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	text, err := os.ReadFile(file)
	must(t, err)
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		must(t, err)
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		pids = append(pids, pid)
	}
	return pids, lock
}

// ended tells whether a process has ended; it may still have to be reaped.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// isLocked tells whether somebody has the lock of a file.
func isLocked(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
		t.Fatal(err)
	}
	return err != nil
}

// TestKilledWithParent ends a program, also a stopped one, when the process that runs it is
// killed, and with it the lock.
func TestKilledWithParent(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"runs":    "echo $$ >>$PIDS; exec sleep 600",
		"stopped": "echo $$ >>$PIDS; kill -STOP $$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pids, lock := killed(t, script, 1)
			await.True(t, "the program ends", func() bool { return ended(pids[0]) })
			await.True(t, "the lock is free", func() bool { return !isLocked(t, lock) })
		})
	}
}

// TestLockOutlivesParent keeps the lock for as long as a child of the program lives, which
// no signal reaches.
func TestLockOutlivesParent(t *testing.T) {
	t.Parallel()
	pids, lock := killed(t, "sleep 600 & echo $! >>$PIDS; echo $$ >>$PIDS; wait", 2)
	await.True(t, "the program ends", func() bool { return ended(pids[1]) })
	if ended(pids[0]) || !isLocked(t, lock) {
		t.Errorf("its child has ended: %v; the lock is held: %v", ended(pids[0]), isLocked(t, lock))
	}
	must(t, syscall.Kill(pids[0], syscall.SIGKILL))
	await.True(t, "the lock is free", func() bool { return !isLocked(t, lock) })
}

// TestShare gives programs the files that are shared when they start, and no others.
func TestShare(t *testing.T) {
	t.Parallel()
	locks := new(program.Locks)
	path := filepath.Join(t.TempDir(), "lock")
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	want := func(run program.Runner, shared bool) {
		t.Helper()
		out, err := run(t.Context(), nil, sh, "-c", "for f in /proc/$$/fd/*; do readlink $f || :; done")
		must(t, err)
		if strings.Contains(string(out), path+"\n") != shared {
			t.Errorf("it has %q, want the lock: %v", out, shared)
		}
	}
	want(locks.Exec(), false)
	release := locks.Share(file)
	want(locks.Exec(), true)
	want(program.Exec(), false)
	locks.Share(os.Stdin)()
	want(locks.Exec(), true)
	release()
	release() // does no harm
	want(locks.Exec(), false)
	var none *program.Locks
	none.Share(file)() // nor does this
}

// TestThreadsEnd runs programs while another goroutine ends threads, as proofs in
// namespaces do. No program may end with the thread that happened to start it.
func TestThreadsEnd(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	var programs, ender sync.WaitGroup
	ender.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			ended := make(chan struct{})
			go func() {
				runtime.LockOSThread() // and no unlock, so the thread ends
				close(ended)
			}()
			<-ended
		}
	})
	for range 4 {
		programs.Go(func() {
			for range 25 {
				if _, err := program.Exec()(t.Context(), nil, sh, "-c", "sleep 0.02"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	programs.Wait()
	close(done)
	ender.Wait()
}
