package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"

	"golang.org/x/sys/unix"
)

// startedUnit is what a verb says that started the unit.
const startedUnit = "started natspread.service\n"

// What makes rules current starts the enabled unit that is not active, with each variant; a
// trial does not, and neither does what changes nothing or another machine.
func TestStartsUnit(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				startsUnit(t, liveMachine(t, variant))
			}
		})
	}
}

// startsUnit goes through the verbs. Each finds a unit that is not active.
func startsUnit(t *testing.T, machine *fakeSystemd) {
	start, asked := []string{"connect", "start-enabled", "close"}, []string{"connect", "state", "close"}
	for _, c := range []struct {
		config string // "" leaves it as it is
		args   []string
		calls  []string
	}{
		{article, []string{"apply", "--dry-run"}, asked},
		{article, []string{"apply"}, start},
		{article, []string{"apply"}, start}, // nothing changes but the unit
		{article, []string{"drain", "web", "10.0.0.1:80"}, start},
		{"", []string{"undrain", "web", "10.0.0.1:80"}, start},
		{article, []string{"apply", "--exclusive", "--yes"}, start},
		{fewer, []string{"apply", "--confirm", "1h"}, []string{"connect", "schedule", "close"}},
		{fewer, []string{"rollback"}, []string{"connect", "cancel", "close"}}, // which only ends the trial
		{fewer, []string{"rollback", "--overdue"}, nil},
		{fewer, []string{"apply", "--confirm", "1h"}, []string{"connect", "schedule", "close"}},
		{fewer, []string{"confirm"}, append([]string{"connect", "cancel", "close"}, start...)},
		{fewer, []string{"rollback"}, start},
		{fewer, []string{"rollback", "1"}, start},
		{fewer, []string{"restore"}, nil}, // what the unit runs
		{fewer, []string{"diff"}, asked},
	} {
		if c.config != "" {
			writeFile(t, "/etc/natspread/natspread.toml", c.config)
		}
		machine.idle = true
		got := machine.onMachine(c.args...)
		starts := slices.Contains(c.calls, "start-enabled")
		if c.args[0] != "diff" {
			got.want(t, exitDone)
		}
		if !slices.Equal(machine.calls, c.calls) || strings.Contains(got.err, startedUnit) != starts || machine.idle == starts {
			t.Errorf("%q: calls %q, want %q; it says\n%s", c.args, machine.calls, c.calls, got.err)
		}
	}
}

// A unit that is active is not started, nor one of another root, nor where no systemd runs,
// and nothing is said of it.
func TestStartsNoUnit(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	got := machine.onMachine("apply").want(t, exitDone)
	machine.wantCalls("connect", "start-enabled", "close")
	if strings.Contains(got.err, "natspread.service") {
		t.Errorf("apply says %q", got.err)
	}
	if got := inProcess("apply").want(t, exitDone); strings.Contains(got.err, "systemd") {
		t.Errorf("without systemd apply says %q", got.err)
	}
	root := rootWith(t, article)
	machine.idle = true
	machine.onMachine("--root", root, "--live", "apply").want(t, exitDone) // whose unit is not this machine's
	machine.wantCalls()
}

// A unit that does not start is a note: the rules are applied. So is a systemd that cannot be
// reached.
func TestStartUnitFails(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	for _, fails := range []string{"start-enabled", "connect"} {
		machine.idle, machine.fails = true, fails
		note := "natspread.service could not be started: " + errFake.Error() + "; fix: systemctl start natspread"
		got := machine.onMachine("apply", "--json").want(t, exitDone)
		var result changeResult
		if err := json.Unmarshal([]byte(got.out), &result); err != nil || !slices.Contains(result.Notes, note) {
			t.Errorf("%s fails: %v, %+v", fails, err, result)
		}
		if !strings.Contains(got.err, "note: "+note+"\n") || strings.Contains(got.err, startedUnit) {
			t.Errorf("%s fails: apply says %q", fails, got.err)
		}
	}
	if got := machine.onMachine("apply", "-q").want(t, exitDone); got.err != "" {
		t.Errorf("-q leaves %q", got.err)
	}
	inProcess("status").want(t, exitDone)
}

// Systemd is not waited for without end.
func TestStartUnitInTime(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	machine.idle = true
	connect := func(ctx context.Context) (systemd, error) {
		wantDeadline(t, ctx)
		return machine, nil
	}
	natspreadWith("", connect, "apply").want(t, exitDone)
	machine.wantCalls("start-enabled", "close")
}

// wantDeadline fails unless a start of the unit ends within the time that the manual says.
func wantDeadline(t *testing.T, ctx context.Context) {
	t.Helper()
	if deadline, bounded := ctx.Deadline(); !bounded || time.Until(deadline) > 20*time.Second {
		t.Errorf("the deadline is %v, %v", deadline, bounded)
	}
}

// In a network namespace that is not PID 1's no unit is started and no timer of systemd's is
// set or stopped: all of these are of the machine's own rules.
func TestOtherNetworkNamespace(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	machine.idle = true
	netnstest.OnThread(func() {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		s := &session{connect: machine.connect, common: common{root: "/"}}
		var result restore.Result
		s.startUnit(t.Context(), config.Config{}, &result)
		if err := s.revertTimer().Cancel(t.Context()); err != nil || result.Notes != nil {
			t.Errorf("%v, %q", err, result.Notes)
		}
	})
	machine.wantCalls()
}

// inNetwork runs natspread as a process of its own in a network namespace that has a name.
func inNetwork(t *testing.T, name string, args ...string) outcome {
	t.Helper()
	cmd := natspreadCommand(t, "nsenter", append([]string{"--net=/run/netns/" + name, "natspread"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{code: cmd.ProcessState.ExitCode(), out: stdout.String(), err: stderr.String()}
}

// A trial in a network namespace that is not PID 1's is reverted there, by a process, and the machine's
// own rules stay as they are.
func TestConfirmInOtherNetworkNamespace(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		args := func(root string, args ...string) []string {
			return append([]string{"--root", root, "--live", "--variant", string(variant)}, args...)
		}
		inProcess(args(rootWith(t, article), "apply", "-q")...).want(t, exitDone)
		other, root := netnstest.NewHost(t, "other"), rootWith(t, strings.ReplaceAll(article, "10.0.0.", "10.7.7."))
		other.Command(t, hostRoutes, "ip", "-batch", "-")
		inNetwork(t, "other", args(root, "apply", "-q")...).want(t, exitDone)
		writeFile(t, filepath.Join(root, paths.Config), strings.ReplaceAll(article, "10.0.0.", "10.8.8."))
		tried := inNetwork(t, "other", args(root, "apply", "--confirm", "1s")...).want(t, exitDone)
		if !strings.Contains(tried.err, "(systemd is in another network namespace: ") {
			t.Errorf("apply says %q", tried.err)
		}
		eventually(t, "the revert", func() bool {
			saved := other.Command(t, "", "iptables-"+string(variant)+"-save", "-t", "nat")
			return strings.Contains(saved, "10.7.7.") && !strings.Contains(saved, "10.8.8.")
		})
		eventually(t, "the end of the trial", func() bool {
			_, err := os.Lstat(filepath.Join(root, paths.Run, "pending"))
			return err != nil
		})
		inNetwork(t, "other", args(root, "status")...).want(t, exitDone)
		hosttest.WantLoaded(t, variant, article)
	})
}

// install in a network namespace that is not PID 1's says where the unit will load the rules, and
// uninstall leaves the timer of another trial alone.
func TestInstallInOtherNetworkNamespace(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		const note = "note: the rules are loaded in this network namespace; at boot the unit loads them in that of PID 1\n"
		machine := liveMachine(t, string(variant))
		if got := machine.onMachine("install").want(t, exitDone); strings.Contains(got.err, note) {
			t.Errorf("in that of PID 1 install says %q", got.err)
		}
		machine.onMachine("uninstall").want(t, exitDone)
		machine.wantCalls(uninstallCalls("cancel")...)
		other := netnstest.NewHost(t, "other")
		other.Do(t, func() {
			if got := machine.onMachine("install").want(t, exitDone); strings.Count(got.err, note) != 1 {
				t.Errorf("in another install says %q", got.err)
			}
			if saved := other.Command(t, "", "iptables-"+string(variant)+"-save", "-t", "nat"); !strings.Contains(saved, "\n-A NATSPREAD-web ") {
				t.Errorf("install loaded\n%s", saved)
			}
			machine.onMachine("uninstall").want(t, exitDone)
			machine.wantCalls(uninstallCalls()...)
		})
	})
}
