package units

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/paths"
)

// testMetrics is where metrics are written in tests.
const testMetrics = "/srv/metrics/natspread.prom"

// metricsPath is where install writes the drop-in of the metrics.
var metricsPath = filepath.Join(administratorDir, theMetrics(paths.HealthUnit, "", "").name)

func TestInstallHealth(t *testing.T) {
	for _, test := range []struct {
		failAt string
		calls  int
		done   int
	}{
		{"", 3, 4},
		{"enable natspread-health.service", 1, 2},
		{"reload", 2, 3},
		{"restart natspread-health.service", 3, 3},
	} {
		t.Run(test.failAt, func(t *testing.T) {
			root := t.TempDir()
			manager := &fakeManager{failAt: test.failAt, changed: true, root: root}
			done, err := InstallHealth(context.Background(), manager, root, testProgram, testMetrics)
			if (test.failAt == "") != (err == nil) || err != nil && !errors.Is(err, errFake) {
				t.Errorf("%v", err)
			}
			want(t, "done", phrases(root, "wrote ROOT"+healthPath, "wrote ROOT"+metricsPath,
				"enabled natspread-health.service", "started natspread-health.service")[:test.done], done)
			want(t, "calls", []string{"enable natspread-health.service", "reload", "restart natspread-health.service"}[:test.calls], manager.calls)
		})
	}
}

// A watcher that the administrator does not want is neither enabled nor started, and install does not fail.
func TestInstallHealthMasked(t *testing.T) {
	root := t.TempDir()
	symlink(t, os.DevNull, filepath.Join(root, healthPath))
	if _, err := InstallOffline(root, testProgram); err != nil {
		t.Fatal(err)
	}
	before := tree(t, root)
	manager := &fakeManager{root: root}
	done, err := InstallHealth(context.Background(), manager, root, testProgram, "")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "calls", nil, manager.calls)
	want(t, "done", []string{"left natspread-health.service alone, which is masked"}, done)
	if done, err = InstallHealthOffline(root, testProgram, ""); err != nil {
		t.Fatal(err)
	}
	want(t, "done", []string{"left natspread-health.service alone, which is masked"}, done)
	want(t, "image", before, tree(t, root))
}

// The file that metrics go to is written anew for another one, stays where none is named, and goes with uninstall.
func TestMetricsOffline(t *testing.T) {
	root := t.TempDir()
	install := func(metrics string, wanted ...string) {
		t.Helper()
		if _, err := InstallOffline(root, testProgram); err != nil {
			t.Fatal(err)
		}
		done, err := InstallHealthOffline(root, testProgram, metrics)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "done", phrases(root, wanted...), done)
	}
	linked := "linked ROOT/etc/systemd/system/natspread.service.wants/natspread-health.service"
	install(testMetrics, "wrote ROOT"+metricsPath, linked)
	install(testMetrics)
	install("")
	install("/srv/natspread.prom", "wrote ROOT"+metricsPath)
	got, err := os.ReadFile(filepath.Join(root, metricsPath))
	if err != nil || !strings.HasSuffix(string(got), "\n[Service]\nExecStart=\nExecStart=/usr/local/sbin/natspread health --prometheus /srv/natspread.prom\nReadWritePaths=-/srv\n") {
		t.Errorf("%s%v", got, err)
	}
	done, err := UninstallOffline(root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "undone", phrases(root,
		"removed ROOT/etc/systemd/system/multi-user.target.wants/natspread.service",
		"removed ROOT/etc/systemd/system/natspread.service.wants/natspread-health.service",
		"removed ROOT"+metricsPath, "removed ROOT"+healthPath, "removed ROOT"+administratorPath, "removed ROOT"+dropInPath), done)
	want(t, "image", []string{"/etc/", "/etc/systemd/", "/etc/systemd/system/"}, tree(t, root))
	writeFile(t, filepath.Join(root, metricsPath), "[Service]\n", 0o644)
	if _, err := InstallHealthOffline(root, testProgram, testMetrics); err == nil || !strings.Contains(err.Error(), "changed by hand") {
		t.Errorf("%v", err)
	}
}

func TestCheckMetricsFile(t *testing.T) {
	for file, want := range map[string]string{
		testMetrics:                        "",
		"/srv/a.b/.x-1_2:3@4.prom":         "",
		"":                                 "must be an absolute path",
		"natspread.prom":                   "must be an absolute path",
		"/natspread.prom":                  "in a directory",
		"/srv/../etc/natspread.prom":       "without ., ..",
		"/srv/natspread.txt":               "must end in .prom",
		"/srv/natspread.prom.old":          "must end in .prom",
		"/srv/a b.prom":                    "blanks",
		"/srv/$HOME.prom":                  "none of",
		"/srv/%h.prom":                     "none of",
		"/srv/'a.prom":                     "quotes",
		"/srv/\"a.prom":                    "quotes",
		"/srv/a;b.prom":                    "none of",
		`/srv/a\b.prom`:                    "none of",
		"/srv/a\nExecStart=/bin/sh x.prom": "control characters",
		"/srv/\xff.prom":                   "control characters",
	} {
		err := CheckMetricsFile(file)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("%q must ", file))) {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
	}
}

// TestVerifyHealth lets systemd read the watcher's unit with the drop-in of the metrics, for the programs of the goldens.
func TestVerifyHealth(t *testing.T) {
	for _, path := range stories(t, "health") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, files := story(t, path)
			scene := t.TempDir()
			command := filepath.Join(scene, strings.TrimSuffix(files["program"], "\n"))
			writeFile(t, command, "#!/bin/sh\n", 0o755)
			dir := filepath.Join(scene, "units")
			for _, file := range []shipped{theUnit(), theHealthUnit(), testDropIn(t, command)} {
				writeFile(t, filepath.Join(dir, file.name), file.written(t, command), 0o644)
				if complaint := verify(t, dir, paths.HealthUnit); file.name != paths.Unit && complaint != "" {
					t.Errorf("with %s: %s", file.name, complaint)
				}
			}
			if err := os.Remove(command); err != nil {
				t.Fatal(err)
			}
			if verify(t, dir, paths.HealthUnit) == "" {
				t.Error("a missing program was not noticed: this test has proven nothing")
			}
		})
	}
}

// testDropIn is the drop-in of the metrics for a program.
func testDropIn(t *testing.T, program string) shipped {
	t.Helper()
	command, err := execPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return theMetrics(paths.HealthUnit, command+" "+healthVerb, testMetrics)
}

// Whoever runs install --prometheus, the watcher is the program of the package, or of a unit that was changed by hand.
func TestMetricsOfPackage(t *testing.T) {
	root := t.TempDir()
	packaged := filepath.Join(root, "/usr/lib/systemd/system", paths.HealthUnit)
	for _, c := range []struct{ path, program string }{{packaged, "/usr/sbin/natspread"}, {filepath.Join(root, healthPath), "/opt/mine"}} {
		text, err := HealthText(c.program)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, c.path, string(text), 0o644)
		if _, err := InstallHealthOffline(root, "/home/me/natspread", testMetrics); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, metricsPath))
		if err != nil || !strings.Contains(string(got), "\nExecStart="+c.program+" health --prometheus "+testMetrics+"\n") {
			t.Errorf("%s%v", got, err)
		}
	}
	writeFile(t, filepath.Join(root, healthPath), "[Service]\nExecStart=\n", 0o644)
	if _, err := InstallHealthOffline(root, testProgram, testMetrics); err == nil || !strings.HasSuffix(err.Error(), ": it has no ExecStart=") {
		t.Errorf("%v", err)
	}
}

// TestHealthExposure holds the sandbox of the watcher, which talks to any address, to its best level.
func TestHealthExposure(t *testing.T) {
	const bound = 1.9
	text, err := HealthText("/usr/local/sbin/natspread")
	if err != nil {
		t.Fatal(err)
	}
	if level := exposure(t, string(text)); level > bound {
		t.Errorf("the exposure is %v", level)
	}
	for _, line := range []string{"PrivateTmp=yes\n", "PrivateDevices=yes\n", "ProtectSystem=strict\n"} {
		if level := exposure(t, strings.Replace(string(text), line, "", 1)); level <= bound {
			t.Errorf("without %s the exposure is %v", line, level)
		}
	}
}
