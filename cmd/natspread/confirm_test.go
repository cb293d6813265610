package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/test/netnstest"
)

// stoppedPrograms puts a program in the place of a variant's own that does all they
// do, but stops at the first transaction: before it is done, or after. It returns a
// file that is then there, and holds its process.
func stoppedPrograms(t *testing.T, variant string, after bool) (stopped string) {
	t.Helper()
	dir := t.TempDir()
	stopped = filepath.Join(dir, "stopped")
	target, err := filepath.EvalSymlinks("/usr/sbin/iptables-" + variant + "-restore")
	if err != nil {
		t.Fatal(err)
	}
	real, script := filepath.Join(dir, "real"), filepath.Join(dir, "stops")
	program, err := os.ReadFile(target)
	if err == nil {
		err = os.WriteFile(real, program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := real + ` "$(basename "$0")" "$@"` // which of its programs it is, is its first argument
	stop := "echo $$ >" + stopped + ".new; mv " + stopped + ".new " + stopped + "; exec sleep 1000"
	if after {
		stop = run + "; " + stop
	}
	text := "#!/bin/sh\ncase \" $* \" in *' --noflush '*) [ -e " + stopped + " ] || { " + stop + "; } ;; esac\nexec " + run + "\n"
	writeFile(t, script, text)
	if err := errors.Join(os.Chmod(script, 0o755), bind(script, target)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
	return stopped
}

// Where no systemd runs, too, whoever dies with a change that was not confirmed: it
// ends on the old table.
func TestConfirmAndDie(t *testing.T) {
	t.Parallel()
	for _, sent := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGKILL} {
		for _, moment := range []string{"before the load", "after the load", "at the end"} {
			name := unix.SignalName(sent) + "/" + moment
			for _, variant := range netnstest.VariantsFor(t, name) {
				t.Run(name+"/"+variant, func(t *testing.T) {
					if isolate(t) {
						confirmAndDie(t, variant, sent, moment)
					}
				})
			}
		}
	}
}

// confirmAndDie kills an apply, with all of its process group, and waits for the old
// table.
func confirmAndDie(t *testing.T, variant string, sent syscall.Signal, moment string) {
	root := rootWith(t, article)
	config := filepath.Join(root, "new.toml")
	writeFile(t, config, strings.ReplaceAll(article, "10.0.0.", "10.0.1."))
	flags := []string{"--root", root, "--live", "--variant", variant}
	inProcess(append(flags, "apply")...).want(t, exitDone)
	writeFile(t, "/proc/sys/net/ipv4/ip_forward", "0")
	before := everything(t, root)
	pending := filepath.Join(root, "run/natspread/pending")

	stopped := filepath.Join(t.TempDir(), "never")
	if moment != "at the end" {
		stopped = stoppedPrograms(t, variant, moment == "after the load")
	}
	// A shell that lives on, as that of a terminal does.
	natspread := natspreadCommand(t, "natspread").Path
	cmd := exec.Command("sh", append([]string{"-c", `"$@"; echo $? >"$0".ended; exec sleep 1000`, stopped, natspread}, append(flags, "apply", "--confirm", "3s", "--config", config)...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the moment to die", func() bool { return exists(stopped)() || exists(stopped+".ended")() })
	if moment != "at the end" == exists(stopped+".ended")() {
		t.Fatalf("apply has ended\n%s", stderr.String())
	}
	wantMoment(t, moment, pending, stderr.String())
	if err := syscall.Kill(-cmd.Process.Pid, sent); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	killStopped(t, stopped)
	eventually(t, "the end of the wait", func() bool { return !exists(pending)() && revertTimers(t) == 0 })
	if after := everything(t, root); after != before {
		t.Errorf("something changed: before\n%safter\n%s\n%s", before, after, stderr.String())
	}
	inProcess(append(flags, "apply", "--config", config)...).want(t, exitDone) // nothing stands in its way
}

// wantMoment fails unless apply has come just as far as it should. As it holds the lock
// until its end, nobody reverts what it did before that.
func wantMoment(t *testing.T, moment, pending, stderr string) {
	t.Helper()
	kernel, err := kernelText()
	if err != nil {
		t.Fatal(err)
	}
	loaded := strings.Contains(kernel, "10.0.1.")
	switch moment {
	case "at the end":
		if !strings.Contains(stderr, "loaded generation 2 for 3s") {
			t.Errorf("apply says %q", stderr)
		}
	default:
		if loaded != (moment == "after the load") || !exists(pending)() || revertTimers(t) != 1 {
			t.Errorf("loaded: %v, recorded: %v, %d timers", loaded, exists(pending)(), revertTimers(t))
		}
	}
}

// killStopped ends the program that stopped: it is in a process group of its own.
func killStopped(t *testing.T, stopped string) {
	t.Helper()
	text, err := os.ReadFile(stopped)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err := errors.Join(err, convErr); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}

// revertTimers counts the processes of this namespace that wait to revert a change.
func revertTimers(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, name := range names {
		line, _ := os.ReadFile(name) // empty for one that has ended
		if bytes.Contains(line, []byte("--overdue")) {
			count++
		}
	}
	return count
}

// Of systemd apply asks for a timer before it loads anything, confirm and rollback
// for its end; and where systemd refuses, nothing is loaded.
func TestConfirmAsksSystemd(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	before := everything(t, "/var/lib")
	for _, fails := range []string{"schedule", "connect"} {
		machine.fails = fails
		got := machine.onMachine("apply", "--confirm", "1h").want(t, exitFailed)
		got.oneComplaint(t)
		if got.err != fmt.Sprintf("natspread: %v; nothing was changed\n", errFake) {
			t.Errorf("%s fails: it says %q", fails, got.err)
		}
	}
	if err := os.RemoveAll("/var/lib/natspread"); err != nil { // empty directories
		t.Fatal(err)
	}
	if after := everything(t, "/var/lib"); after != before || exists("/run/natspread/pending")() {
		t.Errorf("something changed: before\n%safter\n%s", before, after)
	}
	machine.fails = ""
	for _, next := range []struct {
		verb  string
		calls []string
	}{
		{"rollback", []string{"connect", "cancel", "close"}},
		{"confirm", []string{"connect", "cancel", "close", "connect", "start-enabled", "close"}},
	} {
		got := machine.onMachine("apply", "--confirm", "1h").want(t, exitDone)
		machine.wantCalls("connect", "schedule", "close")
		if !strings.Contains(got.err, "reverted by systemd's natspread-confirm.timer\n") {
			t.Errorf("apply says %q", got.err)
		}
		machine.onMachine(next.verb).want(t, exitDone)
		machine.wantCalls(next.calls...)
	}
	// What systemd does not know of any more it need not be asked to end.
	machine.fails = "cancel"
	writeFile(t, "/etc/natspread/natspread.toml", strings.ReplaceAll(article, "10.0.0.", "10.0.1."))
	machine.onMachine("apply", "--confirm", "1h").want(t, exitDone)
	if got := machine.onMachine("confirm").want(t, exitDone); !strings.Contains(got.err, "note: "+errFake.Error()+"; it will find nothing to revert\n") {
		t.Errorf("confirm says %q", got.err)
	}
	machine.onMachine("status").want(t, exitDone)
}

// Who reverts a trial takes the lock of iptables where this process does, and may make it
// there.
func TestConfirmHandsLock(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "legacy")
	lock := filepath.Join(t.TempDir(), "lock")
	for _, c := range []struct {
		lock        string
		env, writes []string
	}{
		{"", nil, nil},
		{lock, []string{"XTABLES_LOCKFILE=" + lock}, []string{"-" + filepath.Dir(lock)}},
	} {
		t.Setenv("XTABLES_LOCKFILE", c.lock)
		machine.onMachine("apply", "--confirm", "1h").want(t, exitDone)
		writes := append(c.writes, "/var/lib/natspread", "/run/natspread")
		if !slices.Equal(machine.revert.Env, c.env) || !slices.Equal(machine.revert.Writes, writes) {
			t.Errorf("lock %q: environment %q, writes to %q", c.lock, machine.revert.Env, machine.revert.Writes)
		}
		machine.onMachine("rollback").want(t, exitDone)
	}
}
