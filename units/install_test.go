package units

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"natspread/internal/paths"
)

// fakeManager records what systemd is asked, and fails at one step.
type fakeManager struct {
	calls   []string
	failAt  string
	changed bool
	root    string // where it looks whether the unit file exists at each call
}

// errFake is what a failing step returns.
var errFake = errors.New("cannot: fake")

// call records one request, with whether the unit file was there at that moment.
func (f *fakeManager) call(name string) error {
	state := ""
	if _, err := os.Stat(filepath.Join(f.root, administratorPath)); err == nil {
		state = " with file"
	}
	f.calls = append(f.calls, name+state)
	if name == f.failAt {
		return errFake
	}
	return nil
}

func (f *fakeManager) Enable(_ context.Context, unit string) (bool, error) {
	return f.changed, f.call("enable " + unit)
}

func (f *fakeManager) Disable(_ context.Context, unit string) (bool, error) {
	return f.changed, f.call("disable " + unit)
}

func (f *fakeManager) Reload(context.Context) error { return f.call("reload") }

func (f *fakeManager) Start(_ context.Context, unit string) error { return f.call("start " + unit) }

func (f *fakeManager) Restart(_ context.Context, unit string) error { return f.call("restart " + unit) }

func (f *fakeManager) Stop(_ context.Context, unit string) error { return f.call("stop " + unit) }

func (f *fakeManager) ResetFailed(_ context.Context, unit string) error {
	return f.call("reset-failed " + unit)
}

func TestInstall(t *testing.T) {
	for _, test := range []struct {
		failAt string
		calls  int
		done   []string
	}{
		{"", 3, []string{"wrote ROOT" + administratorPath, "wrote ROOT" + healthPath, "wrote ROOT" + dropInPath, "enabled natspread.service", "reloaded systemd", "started natspread.service"}},
		{"enable natspread.service", 1, []string{"wrote ROOT" + administratorPath, "wrote ROOT" + healthPath, "wrote ROOT" + dropInPath}},
		{"reload", 2, []string{"wrote ROOT" + administratorPath, "wrote ROOT" + healthPath, "wrote ROOT" + dropInPath, "enabled natspread.service"}},
		{"start natspread.service", 3, []string{"wrote ROOT" + administratorPath, "wrote ROOT" + healthPath, "wrote ROOT" + dropInPath, "enabled natspread.service", "reloaded systemd"}},
	} {
		t.Run(test.failAt, func(t *testing.T) {
			root := t.TempDir()
			manager := &fakeManager{failAt: test.failAt, changed: true, root: root}
			done, err := Install(context.Background(), manager, root, testProgram)
			if (test.failAt == "") != (err == nil) || err != nil && !errors.Is(err, errFake) {
				t.Errorf("%v", err)
			}
			want(t, "done", phrases(root, test.done...), done)
			want(t, "calls", []string{"enable natspread.service with file", "reload with file",
				"start natspread.service with file"}[:test.calls], manager.calls)
		})
	}
}

func TestInstallTwice(t *testing.T) {
	root := t.TempDir()
	if _, err := Install(context.Background(), &fakeManager{root: root}, root, testProgram); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(root, administratorPath))
	if err != nil {
		t.Fatal(err)
	}
	done, err := Install(context.Background(), &fakeManager{root: root}, root, testProgram)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "done", []string{"reloaded systemd", "started natspread.service"}, done)
	after, err := os.Stat(filepath.Join(root, administratorPath))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the same bytes were written again: %v", err)
	}
}

// Where the file cannot be written systemd is not bothered.
func TestInstallUnitRefused(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, administratorPath), "[Service]\n", 0o644)
	manager := &fakeManager{root: root}
	if done, err := Install(context.Background(), manager, root, testProgram); err == nil || done != nil {
		t.Errorf("%q, %v", done, err)
	}
	want(t, "calls", nil, manager.calls)
}

func TestUninstall(t *testing.T) {
	for _, test := range []struct {
		failAt string
		calls  int
		done   int
	}{
		{"", 10, 9},
		{"stop natspread-health.service", 1, 0},
		{"stop natspread-metrics.timer", 2, 1},
		{"stop natspread.service", 3, 2},
		{"disable natspread-health.service", 4, 3},
		{"disable natspread-metrics.timer", 5, 4},
		{"disable natspread.service", 6, 5},
		{"reload", 7, 8},
		{"reset-failed natspread-health.service", 8, 9},
		{"reset-failed natspread-metrics.timer", 9, 9},
		{"reset-failed natspread.service", 10, 9},
	} {
		t.Run(test.failAt, func(t *testing.T) {
			root := t.TempDir()
			writeFile(t, filepath.Join(root, administratorPath), unitText(t, testProgram), 0o644)
			writeFile(t, filepath.Join(root, healthPath), healthText(t, testProgram), 0o644)
			manager := &fakeManager{failAt: test.failAt, changed: true, root: root}
			done, err := Uninstall(context.Background(), manager, root)
			if (test.failAt == "") != (err == nil) || err != nil && !errors.Is(err, errFake) {
				t.Errorf("%v", err)
			}
			want(t, "done", phrases(root, "stopped natspread-health.service", "stopped natspread-metrics.timer", "stopped natspread.service", "disabled natspread-health.service",
				"disabled natspread-metrics.timer", "disabled natspread.service", "removed ROOT"+healthPath, "removed ROOT"+administratorPath, "reloaded systemd")[:test.done], append([]string{}, done...))
			want(t, "calls", []string{"stop natspread-health.service with file", "stop natspread-metrics.timer with file", "stop natspread.service with file",
				"disable natspread-health.service with file", "disable natspread-metrics.timer with file", "disable natspread.service with file",
				"reload", "reset-failed natspread-health.service", "reset-failed natspread-metrics.timer", "reset-failed natspread.service"}[:test.calls], manager.calls)
		})
	}
}

// The package's unit, an override and a drop-in belong to others.
func TestUninstallPackaged(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "/usr/lib/systemd/system", paths.Unit), unitText(t, "/usr/sbin/natspread"), 0o644)
	writeFile(t, filepath.Join(root, administratorDir, paths.Unit+".d/override.conf"), "[Service]\n", 0o644)
	before := tree(t, root)
	done, err := Uninstall(context.Background(), &fakeManager{changed: true, root: root}, root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "done", []string{"stopped natspread-health.service", "stopped natspread-metrics.timer", "stopped natspread.service",
		"disabled natspread-health.service", "disabled natspread-metrics.timer", "disabled natspread.service", "reloaded systemd"}, done)
	want(t, "files", before, tree(t, root))
}

// Symlinks whose unit file is gone are what systemd's own disable leaves.
func TestUninstallDangling(t *testing.T) {
	root := t.TempDir()
	symlink(t, administratorPath, filepath.Join(root, administratorDir, "multi-user.target.wants", paths.Unit))
	done, err := Uninstall(context.Background(), &fakeManager{root: root}, root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "done", phrases(root, "stopped natspread-health.service", "stopped natspread-metrics.timer", "stopped natspread.service",
		"removed ROOT/etc/systemd/system/multi-user.target.wants/natspread.service", "reloaded systemd"), done)
}
