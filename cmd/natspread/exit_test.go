package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/failure"
	"natspread/internal/paths"
	"natspread/internal/test/netnstest"
)

// exitCase is one way to an exit code.
type exitCase struct {
	code    int
	name    string
	prepare func(t *testing.T, root string)
	args    []string
	program string // "" is natspread in this process
}

// exitCases are every exit code, each come by for real, one after the other on the
// same machine.
func exitCases() []exitCase {
	return []exitCase{
		{exitNotLoaded, "status before anything was applied", nil, []string{"status"}, ""},
		{exitFailed, "restore before anything was applied", nil, []string{"restore"}, ""},
		{exitFailed, "diff before anything was applied", nil, []string{"diff"}, ""},
		{exitDone, "apply", nil, []string{"apply"}, ""},
		{exitDone, "status", nil, []string{"status"}, ""},
		{exitDone, "diff", nil, []string{"diff"}, ""},
		{exitFailed, "doctor where no route leads to a backend", noRoute, []string{"doctor"}, ""},
		{exitFailed, "status where no route leads to a backend", nil, []string{"status"}, ""},
		{exitDone, "status with a route again", routeAgain, []string{"status"}, ""},
		{exitFailed, "status after someone's change", changeRules, []string{"status"}, ""},
		{exitFailed, "diff after someone's change", nil, []string{"diff"}, ""},
		{exitFailed, "init over a config", nil, []string{"init"}, ""},
		{exitUsage, "no such verb", nil, []string{"aply"}, ""},
		{exitUsage, "no such flag", nil, []string{"apply", "--force"}, ""},
		{exitUsage, "diff against a missing file", nil, []string{"diff", "--saved", "missing"}, ""},
		{exitNoRights, "apply by nobody", nil, []string{"apply"}, "nobody"},
		{exitNoRights, "status by nobody", nil, []string{"status"}, "nobody"},
		{exitConfig, "a missing config", nil, []string{"apply", "--config", "missing.toml"}, ""},
		{exitConfig, "a wrong config", breakConfig, []string{"apply"}, ""},
		{exitBusy, "restore while the lock is held", holdLock, []string{"restore"}, ""},
		{exitMissing, "no iptables", hidePrograms, []string{"status"}, ""},
	}
}

// changeRules takes a rule out.
func changeRules(t *testing.T, _ string) {
	netnstest.Self().Command(t, "", "iptables-nft", "-t", "nat", "-D", "NATSPREAD-web", "1")
}

// breakConfig appends a key that there is not.
func breakConfig(t *testing.T, root string) {
	writeFile(t, filepath.Join(root, paths.Config), article+"wieght = 1\n")
}

// holdLock holds natspread's lock until the test ends.
func holdLock(t *testing.T, root string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(root, lockDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		t.Cleanup(func() { file.Close() })
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// hidePrograms leaves no iptables on the machine.
func hidePrograms(t *testing.T, _ string) {
	t.Helper()
	if err := mountMemory("/usr/sbin", "mode=0755"); err != nil {
		t.Fatal(err)
	}
}

// The whole table of exit codes, as the help has it: each must be one that really
// comes about.
func TestExitCodes(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	seen := map[int]bool{}
	for _, c := range exitCases() {
		if c.prepare != nil {
			c.prepare(t, root)
		}
		args := append([]string{"--root", root, "--live", "--variant", "nft"}, c.args...)
		got := inProcess(args...)
		if c.program != "" {
			got = asProgram(t, c.program, args...)
		}
		if got.code != c.code {
			t.Errorf("%s: exit code is %d, not %d\n%s%s", c.name, got.code, c.code, got.out, got.err)
		}
		if (got.out + got.err) == "" {
			t.Errorf("%s: exit code %d without a word", c.name, got.code)
		}
		seen[c.code] = true
		if got.code != exitDone && c.program == "" {
			wantFailure(t, c.name, inProcess(append(args, "--json")...))
		}
	}
	for _, exit := range exitCodes() {
		if !seen[exit.Code] {
			t.Errorf("no case for exit code %d, %s", exit.Code, exit.Words)
		}
	}
}

// asProgram runs natspread, or nobody, as a process of its own.
func asProgram(t *testing.T, name string, args ...string) outcome {
	t.Helper()
	cmd := natspreadCommand(t, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{code: cmd.ProcessState.ExitCode(), out: stdout.String(), err: stderr.String()}
}

// noRoute takes the route to the backends away.
func noRoute(t *testing.T, _ string) {
	t.Helper()
	netnstest.Self().Command(t, "", "ip", "route", "del", "10.0.0.0/8", "dev", "lo")
}

// routeAgain gives it back.
func routeAgain(t *testing.T, _ string) {
	t.Helper()
	netnstest.Self().Command(t, "", "ip", "route", "add", "10.0.0.0/8", "dev", "lo")
}

// wantFailure fails unless a run with --json printed one object: the result of a verb that finds
// something, else its errors, with the words of standard error.
func wantFailure(t *testing.T, name string, got outcome) {
	t.Helper()
	var failed failure.Failure
	decoder := json.NewDecoder(strings.NewReader(got.out))
	if err := decoder.Decode(&failed); err != nil || decoder.More() {
		t.Errorf("%s: %v: it prints %q", name, err, got.out)
		return
	}
	if strings.Contains(got.out, `"findings": [`) || strings.Contains(got.out, `"checks": [`) {
		return
	}
	if failed.ExitCode != got.code || len(failed.Errors) == 0 {
		t.Errorf("%s: exit code %d, and it prints %s", name, got.code, got.out)
	}
	for _, one := range failed.Errors {
		if one.What == "" || !strings.Contains(got.err, one.What) || !strings.Contains(got.err, one.Fix) {
			t.Errorf("%s: it prints %s and says %s", name, got.out, got.err)
		}
	}
}
