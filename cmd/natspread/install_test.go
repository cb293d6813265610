package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/paths"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/units"
)

// fakeSystemd is a systemd without processes of its own: it remembers what it was
// asked for, does what the unit says when it starts or stops it, and fails where it
// should.
type fakeSystemd struct {
	t      *testing.T
	fails  string // the call that fails
	idle   bool   // whether the unit is enabled, but not active
	calls  []string
	revert units.Revert // what it is to revert a trial by
	state  string       // of the unit

	watcher bool // whether the watcher's unit is about to start

	reached func() // when it is connected to, if it is there
}

// The verbs are given it in place of the running one.
var _ systemd = (*fakeSystemd)(nil)

// errFake is how a call fails.
var errFake = errors.New("cannot do it: its program failed; see: journalctl -b -u natspread.service")

// call remembers a call and tells how it ends.
func (f *fakeSystemd) call(name string) error {
	f.calls = append(f.calls, name)
	if f.fails == name {
		return errFake
	}
	return nil
}

// Enable implements units.Manager.
func (f *fakeSystemd) Enable(_ context.Context, unit string) (bool, error) {
	return true, f.callFor("enable", unit)
}

// Disable implements units.Manager.
func (f *fakeSystemd) Disable(_ context.Context, unit string) (bool, error) {
	return true, f.callFor("disable", unit)
}

// Reload implements units.Manager.
func (f *fakeSystemd) Reload(context.Context) error { return f.call("reload") }

// ResetFailed implements units.Manager.
func (f *fakeSystemd) ResetFailed(_ context.Context, unit string) error {
	return f.callFor("reset-failed", unit)
}

// Start implements units.Manager: the unit of boot restores.
func (f *fakeSystemd) Start(_ context.Context, unit string) error {
	if unit == paths.Unit {
		inProcess("restore").want(f.t, exitDone)
	}
	return f.callFor("start", unit)
}

// Restart implements units.Manager.
func (f *fakeSystemd) Restart(_ context.Context, unit string) error {
	return f.callFor("restart", unit)
}

// Stop implements units.Manager: the unit of boot stops.
func (f *fakeSystemd) Stop(_ context.Context, unit string) error {
	if unit == paths.Unit {
		inProcess("stop").want(f.t, exitDone)
	}
	return f.callFor("stop", unit)
}

// callFor is call for a unit, which is named unless it is that of boot.
func (f *fakeSystemd) callFor(verb, unit string) error {
	if unit != paths.Unit {
		verb += " " + unit
	}
	return f.call(verb)
}

// ScheduleRevert is what apply --confirm asks for, before it loads.
func (f *fakeSystemd) ScheduleRevert(_ context.Context, revert units.Revert) error {
	f.revert = revert
	return f.call("schedule")
}

// State is what status asks for.
func (f *fakeSystemd) State(context.Context, string) (string, error) { return f.state, f.call("state") }

// Runs is what tells whether backends are checked.
func (f *fakeSystemd) Runs(_ context.Context, unit string) (bool, error) {
	return f.watcher, f.callFor("runs", unit)
}

// CancelRevert is what ends a trial.
func (f *fakeSystemd) CancelRevert(context.Context) error { return f.call("cancel") }

// StartEnabled is what ends a change of the rules. Nobody may hold a lock then, and what the
// unit restores is loaded already: current was switched before.
func (f *fakeSystemd) StartEnabled(ctx context.Context) (bool, error) {
	wantDeadline(f.t, ctx)
	if !f.idle {
		return false, f.call("start-enabled")
	}
	holdEdit(f.t, "/")()
	if got := inProcess("restore").want(f.t, exitDone); !strings.Contains(got.err, "is loaded already\n") {
		f.t.Errorf("restore says %q", got.err)
	}
	err := f.call("start-enabled")
	f.idle = err != nil
	return err == nil, err
}

// Close ends what began with connect.
func (f *fakeSystemd) Close() { f.calls = append(f.calls, "close") }

// connect is the seam.
func (f *fakeSystemd) connect(context.Context) (systemd, error) {
	if f.reached != nil {
		f.reached()
	}
	return f, f.call("connect")
}

// onMachine runs natspread on the machine that this process has to itself.
func (f *fakeSystemd) onMachine(args ...string) outcome {
	f.calls = nil
	return natspreadWith("", f.connect, args...)
}

// wantCalls fails unless systemd was asked for just this.
func (f *fakeSystemd) wantCalls(calls ...string) {
	f.t.Helper()
	if diff := cmp.Diff(calls, f.calls); diff != "" {
		f.t.Errorf("calls of systemd, want -, got +:\n%s", diff)
	}
}

// liveMachine gives the test a machine of its own with a config and a systemd.
func liveMachine(t *testing.T, variant string) *fakeSystemd {
	t.Helper()
	if err := ownMachine(variant); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/systemd/system", 0o755); err != nil { // without it a chroot is an image
		t.Fatal(err)
	}
	writeFile(t, "/etc/natspread/natspread.toml", article)
	return &fakeSystemd{t: t}
}

// The whole life of an installation on a live machine, with each variant.
func TestInstallLive(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				installLive(t, liveMachine(t, variant))
			}
		})
	}
}

// Status asks the running systemd, says what failed, and does not need an answer.
func TestStatusOfUnit(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if !isolate(t) {
				return
			}
			machine := liveMachine(t, variant)
			machine.onMachine("apply", "-q").want(t, exitDone)
			machine.state = "active"
			machine.onMachine("status").want(t, exitDone)
			machine.wantCalls("connect", "state", "close")
			machine.fails = "state"
			machine.onMachine("status").want(t, exitDone)
			machine.fails, machine.state = "", "failed"
			got := machine.onMachine("status").want(t, exitFailed)
			if !strings.Contains(got.out, "impaired: ") || !strings.Contains(got.out, "\n  broken: natspread.service has failed: systemd neither stops nor reloads it; journalctl -b -u natspread.service says why\n    fix: systemctl reset-failed natspread.service") {
				t.Error(got.out)
			}
			if got := machine.onMachine("status", "--json").want(t, exitFailed); !strings.Contains(got.out, `"unit": "failed"`) {
				t.Error(got.out)
			}
			machine.onMachine("doctor").want(t, exitFailed)
		})
	}
}

// installLive installs twice and uninstalls twice.
func installLive(t *testing.T, machine *fakeSystemd) {
	machine.reached = func() { holdEdit(t, "/")() } // nobody waits for an edit while systemd is reached
	got := machine.onMachine("install").want(t, exitDone)
	machine.wantCalls("connect", "enable", "reload", "start", "close")
	if got.out != "" {
		t.Errorf("standard output is %q", got.out)
	}
	want := []string{
		"applied generation 1: 1 service, 3 backends", "program /usr/local/sbin/natspread",
		"wrote /etc/systemd/system/natspread.service", "enabled natspread.service", "reloaded systemd", "started natspread.service",
	}
	rest := "\n" + got.err
	for _, line := range want { // in this order; what else the unit needs is units' own
		_, after, found := strings.Cut(rest, "\n"+line)
		if !found {
			t.Errorf("no %q, or not in its place, in\n%s", line, got.err)
		}
		rest = after
	}
	if strings.Contains(got.err, "this host forwards packets") { // install says it with what Docker does
		t.Errorf("who is let through is said twice:\n%s", got.err)
	}
	inProcess("status").want(t, exitDone)
	unit, err := os.ReadFile("/etc/systemd/system/" + paths.Unit)
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/usr/local/sbin/natspread restore --wait 75s\n") {
		t.Errorf("the unit is %v\n%s", err, unit)
	}
	if info, err := os.Stat("/usr/local/sbin/natspread"); err != nil || info.Mode() != 0o755 {
		t.Errorf("the program is %v, %v", info, err)
	}

	writeFile(t, "/etc/iptables/rules.v4", "*nat\n-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80\nCOMMIT\n")
	got = machine.onMachine("install", "--json", "-q").want(t, exitDone)
	var result installResult
	if err := json.Unmarshal([]byte(got.out), &result); err != nil || result.Generation != 1 || !slices.Contains(result.Done, "started natspread.service") {
		t.Errorf("a second install: %v, %+v", err, result)
	}
	if !slices.Contains(result.Notes, "at boot netfilter-persistent loads the old rules again: line 2 of /etc/iptables/rules.v4; fix: sed -i '2d' /etc/iptables/rules.v4") {
		t.Errorf("nothing of the old rules: %q", result.Notes)
	}
	uninstallLive(t, machine)
}

// uninstallCalls are what uninstall asks of systemd, with what it asks before it ends.
func uninstallCalls(last ...string) []string {
	calls := []string{"connect"}
	for _, verb := range []string{"stop", "disable", "reload", "reset-failed"} {
		if verb != "reload" {
			calls = append(calls, verb+" "+paths.HealthUnit, verb+" "+paths.MetricsTimer)
		}
		calls = append(calls, verb)
	}
	return append(append(calls, last...), "close")
}

// uninstallLive goes back, twice.
func uninstallLive(t *testing.T, machine *fakeSystemd) {
	t.Helper()
	got := machine.onMachine("uninstall").want(t, exitDone)
	machine.wantCalls(uninstallCalls("cancel")...)
	if got.out != "" || !strings.Contains(got.err, "left in place: /etc/natspread, /var/lib/natspread, the program\n") {
		t.Errorf("uninstall says %q, %q", got.out, got.err)
	}
	inProcess("status").want(t, exitNotLoaded)
	for path, stays := range map[string]bool{
		"/etc/systemd/system/" + paths.Unit: false, "/etc/natspread/natspread.toml": true,
		"/var/lib/natspread/current": true, "/usr/local/sbin/natspread": true,
	} {
		if _, err := os.Lstat(path); (err == nil) != stays {
			t.Errorf("after uninstall %s stays: %v, wanted %v", path, err == nil, stays)
		}
	}
	machine.onMachine("uninstall", "--json").want(t, exitDone)
}

// Rules that someone loaded again after the unit was stopped go, too.
func TestUninstallRunningWithoutUnit(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	inProcess("apply").want(t, exitDone)
	stopless := &unitless{machine}
	got := natspreadWith("", stopless.connect, "uninstall").want(t, exitDone)
	if !strings.Contains(got.err, "took the rules out of the kernel\n") {
		t.Errorf("%s", got.err)
	}
	inProcess("status").want(t, exitNotLoaded)
}

// unitless is a systemd that never had the unit, so that its stop does nothing.
type unitless struct{ *fakeSystemd }

// Stop implements units.Manager.
func (u *unitless) Stop(context.Context, string) error { return nil }

// connect is the seam.
func (u *unitless) connect(context.Context) (systemd, error) { return u, nil }

// Whichever call of systemd fails: install says that the rules are applied but will
// not be there after a boot, and what was done before; the rules stay.
func TestInstallFails(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	for _, c := range []struct{ fails, done, not string }{
		{"enable", "wrote /etc/systemd/system/natspread.service\n", "enabled"},
		{"reload", "enabled natspread.service\n", "reloaded"},
		{"start", "reloaded systemd\n", "started"},
	} {
		machine.fails = c.fails
		got := machine.onMachine("install").want(t, exitFailed)
		done, last, _ := strings.Cut(got.err, "natspread: ")
		if got.out != "" || last != "the rules are applied, but not restored at boot: "+errFake.Error()+"\n" {
			t.Errorf("%s fails: it says %q, %q", c.fails, got.out, got.err)
		}
		if !strings.Contains(done, "program /usr/local/sbin/natspread\n") || !strings.Contains(done, c.done) || strings.Contains(done, c.not) {
			t.Errorf("%s fails: what was done is %q", c.fails, done)
		}
		if quiet := machine.onMachine("install", "-q").want(t, exitFailed); strings.Count(quiet.err, "\n") != 1 {
			t.Errorf("%s fails: -q leaves %q", c.fails, quiet.err)
		}
		hosttest.Must(t, os.Remove("/usr/local/sbin/natspread"))
		machine.onMachine("install", "--json").wantHalfway(t, true, "program /usr/local/sbin/natspread")
		inProcess("status").want(t, exitDone)
		for _, file := range []string{"/etc/systemd/system/" + paths.Unit, "/usr/local/sbin/natspread"} {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Whichever call of systemd fails: uninstall tells what was done before, and a change that
// waits to be confirmed is still reverted in time.
func TestUninstallFails(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	for _, c := range []struct{ fails, done, not string }{
		{"stop", "stopped natspread-health.service\n", "stopped natspread.service"},
		{"disable", "stopped natspread.service\n", "disabled natspread.service"},
		{"reload", "removed /etc/systemd/system/natspread.service\n", "reloaded"},
		{"reset-failed", "reloaded systemd\n", "left in place"},
	} {
		machine.fails = ""
		machine.onMachine("install").want(t, exitDone)
		machine.fails = c.fails
		got := machine.onMachine("uninstall").want(t, exitFailed)
		if !strings.HasSuffix(got.err, "natspread: "+errFake.Error()+"\n") || !strings.Contains(got.err, c.done) || strings.Contains(got.err, c.not) {
			t.Errorf("%s fails: it says %q", c.fails, got.err)
		}
		if strings.Contains(strings.Join(machine.calls, " "), "cancel") {
			t.Errorf("%s fails: calls are %v", c.fails, machine.calls)
		}
		if c.fails == "reload" {
			machine.onMachine("install", "-q")
			machine.onMachine("uninstall", "--json").wantHalfway(t, true, "removed /etc/systemd/system/natspread.service")
		}
	}
}

// Nothing is applied for an installation that cannot come about: no systemd, or a
// wrong config.
func TestInstallNeedsSystemd(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	before := everything(t, "/var/lib") + everything(t, "/etc") + everything(t, "/usr/local")
	for _, verb := range []string{"install", "uninstall"} {
		got := inProcess(verb).want(t, exitFailed)
		got.oneComplaint(t)
		if got.err != "natspread: "+errNoSystemd.Error()+"; nothing was changed\n" {
			t.Errorf("%s says %q", verb, got.err)
		}
	}
	machine.onMachine("install", "--config", "/missing").want(t, exitConfig)
	machine.wantCalls()
	if after := everything(t, "/var/lib") + everything(t, "/etc") + everything(t, "/usr/local"); after != before {
		t.Errorf("something changed: before\n%safter\n%s", before, after)
	}
}
