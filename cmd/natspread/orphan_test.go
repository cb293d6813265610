package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/test/netnstest"
)

// orphan is an iptables-restore that a killed apply left, stopped before its load.
type orphan struct {
	root string
	pid  int // of the process that is stopped
}

// The ways in which a load may be stopped that was given its text. In a script REAL is the
// program itself.
const (
	// stoppedProgram is the program that natspread runs.
	stoppedProgram = "cat > DIR/text; echo $$ > DIR/pid.new; mv DIR/pid.new DIR/pid; kill -STOP $$; exec REAL < DIR/text"
	// stoppedChild is a child of it, which no signal of natspread's reaches.
	stoppedChild = "exec 5<&0; sh -c '" + stoppedProgram + "' <&5 & wait"
)

// leaveOrphan applies a config, kills the apply of another one when its load is stopped in
// one of these ways, and returns what is left.
func leaveOrphan(t *testing.T, variant, how string) orphan {
	t.Helper()
	root, dir := rootWith(t, article), t.TempDir()
	config := filepath.Join(root, "new.toml")
	writeFile(t, config, strings.ReplaceAll(article, "10.0.0.", "10.0.1."))
	inProcess("--root", root, "--live", "--variant", variant, "apply").want(t, exitDone)
	unmount := stopLoads(t, variant, dir, how)
	cmd := natspreadCommand(t, "natspread", "--root", root, "--live", "--variant", variant, "apply", "--config", config)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	left := orphan{root: root}
	eventually(t, "the load", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		if err == nil {
			left.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil && left.state() == 'T'
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	unmount()
	t.Cleanup(func() { _ = syscall.Kill(left.pid, syscall.SIGKILL) })
	return left
}

// stopLoads puts a script in the place of the variant's programs, whose loads it stops in
// one of these ways, and returns what takes it away.
func stopLoads(t *testing.T, variant, dir, how string) (unmount func()) {
	t.Helper()
	place, err := filepath.EvalSymlinks("/usr/sbin/iptables-" + variant + "-restore")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "multi"), string(content))
	script := filepath.Join(dir, "script")
	how = strings.NewReplacer("DIR", dir, "REAL", dir+"/multi iptables-restore --noflush -w 5").Replace(how)
	writeFile(t, script, fmt.Sprintf("#!/bin/sh\nname=${0##*/}\ncase \"$name $*\" in iptables-*-restore*--noflush*)\n%s\nexit ;; esac\n"+
		"ln -sf multi %[2]s/$name; exec %[2]s/$name \"$@\"\n", how, dir))
	for _, path := range []string{script, filepath.Join(dir, "multi")} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := bind(script, place); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Unmount(place, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
}

// state returns the state of the process as proc_pid_stat(5) has it; 0 when it has ended.
func (o orphan) state() byte {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", o.pid))
	_, rest, found := bytes.Cut(stat, []byte(") "))
	if err != nil || !found || rest[0] == 'Z' {
		return 0
	}
	return rest[0]
}

// letGo lets the process go on, and waits for its end.
func (o orphan) letGo(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(o.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the load", func() bool { return o.state() == 0 })
}

// natspread runs a verb below the root.
func (o orphan) natspread(variant string, args ...string) outcome {
	return inProcess(append([]string{"--root", o.root, "--live", "--variant", variant}, args...)...)
}

// TestOrphanIsKilled ends with a killed apply the program that it ran: nothing of it is left
// to load when a later verb has said that all is well.
func TestOrphanIsKilled(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if !isolate(t) {
				return
			}
			left := leaveOrphan(t, variant, stoppedProgram)
			eventually(t, "the end of the program", func() bool { return left.state() == 0 })
			left.natspread(variant, "restore").want(t, exitDone)
			left.natspread(variant, "status").want(t, exitDone)
		})
	}
}

// TestOrphanIsWaitedFor has an apply killed whose load goes on without it. Until that has
// ended nobody else changes anything; verbs that only look say what they see, and that it
// may change. Whoever changes something after it has the last word.
func TestOrphanIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if !isolate(t) {
				return
			}
			left := leaveOrphan(t, variant, stoppedChild)
			busy := left.natspread(variant, "restore").want(t, exitBusy)
			if !strings.Contains(busy.err, fmt.Sprintf("held by process %d (", left.pid)) {
				t.Errorf("it does not name process %d: %s", left.pid, busy.err)
			}
			began := time.Now()
			seen := left.natspread(variant, "status").want(t, exitDone)
			if !strings.Contains(seen.out, "note: another natspread is at work") {
				t.Errorf("status does not say that it may change:\n%s", seen.out)
			}
			left.natspread(variant, "diff").want(t, exitDone)
			if took := time.Since(began); took > hangBound {
				t.Errorf("to look took %v", took)
			}
			left.letGo(t)
			left.natspread(variant, "status").want(t, exitFailed) // its rules are loaded now
			left.natspread(variant, "restore").want(t, exitDone)
			if now := left.natspread(variant, "status").want(t, exitDone); strings.Contains(now.out, "note: another natspread") {
				t.Errorf("%s", now.out)
			}
		})
	}
}

// TestVerbWaitsForOrphan has a verb wait while the load of a killed apply goes on, and come
// after it.
func TestVerbWaitsForOrphan(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"apply", "restore", "stop"} {
		for _, variant := range netnstest.VariantsFor(t, verb) {
			t.Run(variant+"/"+verb, func(t *testing.T) {
				if !isolate(t) {
					return
				}
				left := leaveOrphan(t, variant, stoppedChild)
				lock := filepath.Join(left.root, lockDir, "lock")
				ended := make(chan outcome)
				go func() { ended <- left.natspread(variant, verb) }()
				eventually(t, "the verb waits", func() bool { return openersOf("self", lock) > 0 })
				left.letGo(t)
				(<-ended).want(t, exitDone)
				want := exitDone
				if verb == "stop" {
					want = exitNotLoaded
				}
				left.natspread(variant, "status").want(t, want)
				if saved, err := exec.Command("iptables-" + variant + "-save").Output(); err != nil || bytes.Contains(saved, []byte("10.0.1.")) {
					t.Errorf("%v:\n%s", err, saved)
				}
			})
		}
	}
}
