package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"natspread/internal/paths"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// articleChecked is the article with a health check.
var articleChecked = article + "check = \"tcp\"\n"

// noWatcher is the note where nobody runs health checks.
const noWatcher = "note: health checks are configured, but natspread health does not run; fix: "

// install enables and starts the watcher's unit where the config has a check, with metrics if they are asked for, and
// else a timer for these; uninstall stops and removes all of it. With each variant.
func TestInstallWatcher(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				installWatcher(t, liveMachine(t, variant))
			}
		})
	}
}

// installWatcher goes from no check to metrics, and back.
func installWatcher(t *testing.T, machine *fakeSystemd) {
	const unit, dropIn = "/etc/systemd/system/" + paths.HealthUnit, "/etc/systemd/system/" + paths.HealthUnit + ".d/prometheus.conf"
	plain := []string{"connect", "enable", "reload", "start"}
	watched := slices.Concat(plain, []string{"enable " + paths.HealthUnit, "reload", "restart " + paths.HealthUnit, "close"})
	machine.onMachine("install").want(t, exitDone)
	machine.wantCalls(append(plain, "close")...)
	writeFile(t, "/etc/natspread/natspread.toml", articleChecked)
	got := machine.onMachine("install").want(t, exitDone)
	machine.wantCalls(watched...)
	if !strings.Contains(got.err, "enabled natspread-health.service\nstarted natspread-health.service\n") || strings.Contains(got.err, noWatcher) {
		t.Errorf("install says %q", got.err)
	}
	machine.onMachine("install", "--prometheus", "/srv/natspread.prom").want(t, exitDone)
	machine.wantCalls(watched...)
	if text, err := os.ReadFile(dropIn); err != nil || !strings.Contains(string(text), " health --prometheus /srv/natspread.prom\n") {
		t.Errorf("%v\n%s", err, text)
	}
	writeFile(t, "/etc/natspread/natspread.toml", article)
	machine.onMachine("install", "--prometheus", "/srv/natspread.prom").want(t, exitDone)
	machine.wantCalls(slices.Concat(plain, []string{"enable " + paths.MetricsTimer, "reload", "start " + paths.MetricsTimer, "start " + paths.MetricsUnit, "close"})...)
	machine.onMachine("uninstall").want(t, exitDone)
	for _, path := range []string{unit, dropIn, "/etc/systemd/system/" + paths.MetricsUnit, "/etc/systemd/system/" + paths.MetricsTimer} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("after uninstall there is %s", path)
		}
	}
	install := func(fails, says string) {
		t.Helper()
		machine.fails = fails
		got := machine.onMachine("install", "--prometheus", "/srv/natspread.prom").want(t, exitFailed)
		if !strings.HasSuffix(got.err, "\nnatspread: the rules are applied, and restored at boot, but "+says+": "+errFake.Error()+"\n") {
			t.Errorf("install says %q", got.err)
		}
	}
	install("start "+paths.MetricsUnit, "metrics are not written")
	writeFile(t, "/etc/natspread/natspread.toml", articleChecked)
	install("restart "+paths.HealthUnit, "backends are not checked")
}

// What makes a config with health checks current notes that no watcher runs, and the line that
// starts one: not where it runs, and not where systemd is about to start it.
func TestNoteWatcher(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, "nft")
	note := func(fix string, args ...string) {
		t.Helper()
		got := machine.onMachine(args...).want(t, exitDone)
		if fix == "" && strings.Contains(got.err, noWatcher) || fix != "" && !strings.Contains(got.err, noWatcher+fix+"\n") {
			t.Errorf("%q says %q, want fix %q", args, got.err, fix)
		}
	}
	note("", "apply") // without a check there is nothing to run
	writeFile(t, "/etc/natspread/natspread.toml", articleChecked)
	note("natspread install", "apply")
	writeFile(t, "/etc/systemd/system/"+paths.HealthUnit, "[Service]\n") // in memory: /usr is the machine's own
	const enable = "systemctl enable --now natspread-health"
	for _, args := range [][]string{{"drain", "web", "10.0.0.1:80"}, {"undrain", "web", "10.0.0.1:80"}, {"rollback"}, {"rollback"}} {
		note(enable, args...)
	}
	writeFile(t, "/etc/natspread/natspread.toml", fewer+"check = \"tcp\"\n")
	note(enable, "apply", "--confirm", "1h")
	note(enable, "confirm")
	machine.watcher = true
	note("", "apply")
	machine.watcher = false
	if got := inProcess("apply").want(t, exitDone); !strings.Contains(got.err, noWatcher+"natspread health # runs in the foreground\n") {
		t.Errorf("without systemd apply says %q", got.err)
	}
	unlock, err := restore.Host{Root: "/"}.LockWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	note("", "apply")
}
