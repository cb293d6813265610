package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/test/netnstest"
)

// hangingPrograms puts a program in the place of iptables-nft's that says when it
// begins, by making a file, and then never ends; nor does its own child.
func hangingPrograms(t *testing.T) (begun string) {
	t.Helper()
	dir := t.TempDir()
	begun = filepath.Join(dir, "begun")
	script := filepath.Join(dir, "hangs")
	writeFile(t, script, "#!/bin/sh\n: > "+begun+"\nsleep 1000 &\nwait\n")
	target, err := filepath.EvalSymlinks("/usr/sbin/iptables-nft-restore")
	if err == nil {
		err = os.Chmod(script, 0o755)
	}
	if err == nil {
		err = bind(script, target)
	}
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

// awaitFile waits for a file.
func awaitFile(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the program was never run")
		}
	}
}

// sleepers counts the programs in this process namespace that sleep. One that was
// killed stays as a zombie, as this process, their new parent, does not wait for it.
func sleepers(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, name := range names {
		stat, _ := os.ReadFile(name) // one that has ended is no sleeper
		if bytes.Contains(stat, []byte(" (sleep) ")) && !bytes.Contains(stat, []byte(" (sleep) Z ")) {
			count++
		}
	}
	return count
}

// applyHangs begins an apply of a new config that hangs, over one that is in step,
// lets stop end it, and wants the old state.
func applyHangs(t *testing.T, stop func(process *os.Process), within time.Duration) outcome {
	t.Helper()
	root := rootWith(t, article)
	config := filepath.Join(root, "new.toml")
	writeFile(t, config, strings.ReplaceAll(article, "10.0.0.", "10.0.1."))
	inProcess("--root", root, "--variant", "nft", "apply").want(t, exitDone)
	before := everything(t, root)

	begun := hangingPrograms(t)
	cmd := natspreadCommand(t, "natspread", "--root", root, "--variant", "nft", "apply", "--config", config)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, begun)
	began := time.Now()
	stop(cmd.Process)
	_ = cmd.Wait() // the code tells
	if took := time.Since(began); took > within {
		t.Errorf("it took %v", took)
	}
	for deadline := time.Now().Add(2 * time.Second); sleepers(t) != 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) { // a killed one takes a moment to end
			t.Fatalf("%d programs are left running", sleepers(t))
		}
	}
	target, err := filepath.EvalSymlinks("/usr/sbin/iptables-nft-restore")
	if err == nil {
		err = unix.Unmount(target, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if after := everything(t, root); after != before {
		t.Errorf("something changed: before\n%safter\n%s", before, after)
	}
	return outcome{code: cmd.ProcessState.ExitCode(), out: out.String(), err: talk.String()}
}

// A program that hangs is killed after 30 seconds, with all that it started, and
// what was there before stays.
func TestHangingProgram(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	got := applyHangs(t, func(*os.Process) {}, 55*time.Second).want(t, exitFailed)
	got.oneComplaint(t)
	if !strings.Contains(got.err, "killed after 30s") || !strings.HasSuffix(got.err, "nothing was changed\n") {
		t.Errorf("%s", got.err)
	}
}

// An administrator who loses patience, or the connection, leaves no half behind.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(unix.SignalName(sent), func(t *testing.T) {
			if !netnstest.Isolate(t) {
				return
			}
			got := applyHangs(t, func(process *os.Process) {
				if err := process.Signal(sent); err != nil {
					t.Error(err)
				}
			}, 25*time.Second).want(t, exitFailed)
			got.oneComplaint(t)
			if !strings.HasSuffix(got.err, "nothing was changed\n") {
				t.Errorf("%s", got.err)
			}
		})
	}
}
