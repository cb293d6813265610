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

// applyHangs begins an apply of a new config that hangs, over one that is in sync,
// lets stop end it, and wants the old state.
func applyHangs(t *testing.T, stop func(process *os.Process), within time.Duration) outcome {
	t.Helper()
	root := rootWith(t, article)
	config := filepath.Join(root, "new.toml")
	writeFile(t, config, strings.ReplaceAll(article, "10.0.0.", "10.0.1."))
	inProcess("--root", root, "--live", "--variant", "nft", "apply").want(t, exitDone)
	before := everything(t, root)

	begun := hangingPrograms(t)
	cmd := natspreadCommand(t, "natspread", "--root", root, "--live", "--variant", "nft", "apply", "--config", config)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run of the program", exists(begun))
	began := time.Now()
	stop(cmd.Process)
	_ = cmd.Wait() // the code tells
	if took := time.Since(began); took > within {
		t.Errorf("it took %v", took)
	}
	// One that is killed takes a moment to end.
	eventually(t, "the end of each program", func() bool { return sleepers(t) == 0 })
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
	return outcome{code: cmd.ProcessState.ExitCode(), out: stdout.String(), err: stderr.String()}
}

// A program that hangs is killed after 30 seconds, with all that it started, and
// what was there before stays.
func TestHangingProgram(t *testing.T) {
	if !isolate(t) {
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
			if !isolate(t) {
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
