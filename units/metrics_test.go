package units

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/paths"
)

// Where install writes the units of the metrics, and the drop-in that names another file.
var (
	metricsUnitPath   = filepath.Join(administratorDir, paths.MetricsUnit)
	metricsTimerPath  = filepath.Join(administratorDir, paths.MetricsTimer)
	metricsDropInPath = filepath.Join(administratorDir, theMetrics(paths.MetricsUnit, "", "").name)
)

func TestMetricsText(t *testing.T) { goldens(t, "metrics", MetricsText) }

func TestMetricsTimerText(t *testing.T) { goldens(t, "timer", MetricsTimerText) }

func TestMetricsFile(t *testing.T) {
	goldens(t, "metricsfile", func(program string) ([]byte, error) { return testMetricsDropIn(t, program).text("") })
}

// testMetricsDropIn is the drop-in of another file, for a program.
func testMetricsDropIn(t *testing.T, program string) shipped {
	t.Helper()
	text, err := MetricsText(program)
	if err != nil {
		t.Fatal(err)
	}
	_, command, _ := strings.Cut(string(text), "\nExecStart=")
	command, _, _ = strings.Cut(command, "\n")
	return theMetrics(paths.MetricsUnit, command, testMetrics)
}

func TestInstallMetrics(t *testing.T) {
	for _, test := range []struct {
		failAt string
		calls  int
		done   int
	}{
		{"", 4, 5},
		{"enable natspread-metrics.timer", 1, 3},
		{"reload", 2, 4},
		{"start natspread-metrics.timer", 3, 4},
		{"start natspread-metrics.service", 4, 5},
	} {
		t.Run(test.failAt, func(t *testing.T) {
			root := t.TempDir()
			manager := &fakeManager{failAt: test.failAt, changed: true, root: root}
			done, err := InstallMetrics(context.Background(), manager, root, testProgram, testMetrics)
			if (test.failAt == "") != (err == nil) || err != nil && !errors.Is(err, errFake) {
				t.Errorf("%v", err)
			}
			want(t, "done", phrases(root, "wrote ROOT"+metricsUnitPath, "wrote ROOT"+metricsDropInPath, "wrote ROOT"+metricsTimerPath,
				"enabled natspread-metrics.timer", "started natspread-metrics.timer")[:test.done], done)
			want(t, "calls", []string{"enable natspread-metrics.timer", "reload", "start natspread-metrics.timer", "start natspread-metrics.service"}[:test.calls], manager.calls)
		})
	}
}

// A unit that the administrator does not want is neither enabled nor started, and install does not fail.
func TestInstallMetricsMasked(t *testing.T) {
	root := t.TempDir()
	symlink(t, os.DevNull, filepath.Join(root, metricsUnitPath))
	manager := &fakeManager{root: root}
	done, err := InstallMetrics(context.Background(), manager, root, testProgram, testMetrics)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "calls", nil, manager.calls)
	want(t, "done", []string{"left natspread-metrics.service alone, which is masked"}, done)
}

// In an image the timer is enabled as systemctl does it, once, and uninstall takes all of it away.
func TestInstallMetricsOffline(t *testing.T) {
	root := t.TempDir()
	link := "/etc/systemd/system/timers.target.wants/natspread-metrics.timer"
	done, err := InstallMetricsOffline(root, testProgram, testMetrics)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "done", phrases(root, "wrote ROOT"+metricsUnitPath, "wrote ROOT"+metricsDropInPath, "wrote ROOT"+metricsTimerPath, "linked ROOT"+link), done)
	if state := systemctlEnabled(t, root, paths.MetricsTimer); state != "enabled" {
		t.Errorf("systemctl is-enabled says %q", state)
	}
	if done, err = InstallMetricsOffline(root, testProgram, testMetrics); err != nil || done != nil {
		t.Errorf("the second time: %q, %v", done, err)
	}
	done, err = UninstallOffline(root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "undone", phrases(root, "removed ROOT"+link, "removed ROOT"+metricsDropInPath, "removed ROOT"+metricsUnitPath, "removed ROOT"+metricsTimerPath), done)
	want(t, "image", []string{"/etc/", "/etc/systemd/", "/etc/systemd/system/"}, tree(t, root))
}

// The program is the package's, and its units are enabled where they are.
func TestMetricsPackaged(t *testing.T) {
	root := t.TempDir()
	const packaged = "/usr/lib/systemd/system/"
	for _, file := range []shipped{theMetricsUnit(), theMetricsTimer()} {
		writeFile(t, filepath.Join(root, packaged, file.name), file.written(t, "/usr/sbin/natspread"), 0o644)
	}
	if _, err := InstallMetricsOffline(root, testProgram, testMetrics); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, metricsDropInPath))
	if err != nil || !strings.Contains(string(got), "\nExecStart=/usr/sbin/natspread status --prometheus "+testMetrics+"\n") {
		t.Errorf("%s%v", got, err)
	}
	target, err := os.Readlink(filepath.Join(root, "/etc/systemd/system/timers.target.wants", paths.MetricsTimer))
	if err != nil || target != packaged+paths.MetricsTimer {
		t.Errorf("%q, %v", target, err)
	}
}

// TestVerifyMetrics has systemd read the units of the metrics, alone and with the drop-in, for the programs of the
// goldens.
func TestVerifyMetrics(t *testing.T) {
	for _, path := range stories(t, "metrics") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, files := story(t, path)
			scene := t.TempDir()
			command := filepath.Join(scene, strings.TrimSuffix(files["program"], "\n"))
			writeFile(t, command, "#!/bin/sh\n", 0o755)
			dir := filepath.Join(scene, "units")
			for _, file := range []shipped{theUnit(), theMetricsUnit(), theMetricsTimer(), testMetricsDropIn(t, command)} {
				writeFile(t, filepath.Join(dir, file.name), file.written(t, command), 0o644)
			}
			for _, unit := range []string{paths.MetricsTimer, paths.MetricsUnit} {
				if complaint := verify(t, dir, unit); complaint != "" {
					t.Error(complaint)
				}
			}
			if err := os.Remove(command); err != nil {
				t.Fatal(err)
			}
			if verify(t, dir, paths.MetricsUnit) == "" {
				t.Error("a missing program was not noticed: this test has proven nothing")
			}
		})
	}
}

// TestMetricsExposure holds the sandbox of the metrics to its best level: that of the unit at boot, but that systemd
// is asked how that unit is.
func TestMetricsExposure(t *testing.T) {
	const bound = 1.8
	text, err := MetricsText("/usr/local/sbin/natspread")
	if err != nil {
		t.Fatal(err)
	}
	if level := exposure(t, string(text)); level > bound {
		t.Errorf("the exposure is %v", level)
	}
	for _, line := range []string{"PrivateTmp=yes\n", "IPAddressDeny=any\n", "ProtectSystem=strict\n"} {
		if level := exposure(t, strings.Replace(string(text), line, "", 1)); level <= bound {
			t.Errorf("without %s the exposure is %v", line, level)
		}
	}
}
