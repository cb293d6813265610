package units

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/paths"

	"github.com/google/go-cmp/cmp"
)

const testProgram = "/usr/local/sbin/natspread"

// dropInPath and healthPath are where install writes the drop-in and the watcher's unit.
var (
	dropInPath = filepath.Join(administratorDir, DropInName)
	healthPath = filepath.Join(administratorDir, paths.HealthUnit)
)

// tree lists what is in root: directories end in a slash, symlinks name their target.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name := strings.TrimPrefix(path, root)
		switch entry.Type() {
		case fs.ModeDir:
			name += "/"
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			name += " -> " + target
		}
		found = append(found, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// want compares two lists and says what they are.
func want(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// written is a whole file as install writes it.
func (s shipped) written(t *testing.T, program string) string {
	t.Helper()
	text, err := s.text(program)
	if err != nil {
		t.Fatal(err)
	}
	return string(s.stamp(text))
}

// unitText, healthText and dropInText are the files that install always writes.
func unitText(t *testing.T, program string) string   { return theUnit().written(t, program) }
func healthText(t *testing.T, program string) string { return theHealthUnit().written(t, program) }
func dropInText(t *testing.T, program string) string { return theDropIn().written(t, program) }

// phrases puts the image's root into the paths of wanted phrases.
func phrases(root string, wanted ...string) []string {
	var phrases []string
	for _, phrase := range wanted {
		phrases = append(phrases, strings.ReplaceAll(phrase, "ROOT", root))
	}
	return phrases
}

// symlink makes a symlink of the scene.
func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestOffline(t *testing.T) {
	root := t.TempDir()
	done, err := InstallOffline(root, testProgram)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "done", phrases(root,
		"wrote ROOT/etc/systemd/system/natspread.service",
		"wrote ROOT/etc/systemd/system/natspread-health.service",
		"wrote ROOT/etc/systemd/system/nftables.service.d/natspread.conf",
		"linked ROOT/etc/systemd/system/multi-user.target.wants/natspread.service"), done)
	installed := []string{
		"/etc/",
		"/etc/systemd/",
		"/etc/systemd/system/",
		"/etc/systemd/system/multi-user.target.wants/",
		"/etc/systemd/system/multi-user.target.wants/natspread.service -> /etc/systemd/system/natspread.service",
		"/etc/systemd/system/natspread-health.service",
		"/etc/systemd/system/natspread.service",
		"/etc/systemd/system/nftables.service.d/",
		"/etc/systemd/system/nftables.service.d/natspread.conf",
	}
	want(t, "image", installed, tree(t, root))
	file := filepath.Join(root, administratorPath)
	if got, err := os.ReadFile(file); err != nil || string(got) != unitText(t, testProgram) {
		t.Errorf("unit holds\n%s%v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(root, dropInPath)); err != nil || string(got) != dropInText(t, testProgram) {
		t.Errorf("drop-in holds\n%s%v", got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o644 {
		t.Errorf("unit has mode %v, %v", info.Mode(), err)
	}

	done, err = InstallOffline(root, testProgram)
	if err != nil || done != nil {
		t.Errorf("the second time: %q, %v", done, err)
	}
	done, err = InstallOffline(root, "/opt/natspread")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "done for another program", phrases(root, "wrote ROOT/etc/systemd/system/natspread.service",
		"wrote ROOT/etc/systemd/system/natspread-health.service",
		"wrote ROOT/etc/systemd/system/nftables.service.d/natspread.conf"), done)

	done, err = UninstallOffline(root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "undone", phrases(root,
		"removed ROOT/etc/systemd/system/multi-user.target.wants/natspread.service",
		"removed ROOT/etc/systemd/system/natspread-health.service",
		"removed ROOT/etc/systemd/system/natspread.service",
		"removed ROOT/etc/systemd/system/nftables.service.d/natspread.conf"), done)
	want(t, "image", []string{"/etc/", "/etc/systemd/", "/etc/systemd/system/"}, tree(t, root))
	if done, err = UninstallOffline(root); err != nil || done != nil {
		t.Errorf("the second time: %q, %v", done, err)
	}
}

// The links are those of the real systemctl, which agrees that the unit is enabled, and that it is not.
func TestOfflineLikeSystemctl(t *testing.T) {
	for _, test := range []struct{ name, file, merged string }{
		{"ours", "", ""},
		{"packaged", "/usr/lib/systemd/system/natspread.service", ""},
		{"packaged, old place", "/lib/systemd/system/natspread.service", ""},
		{"packaged, merged usr", "/usr/lib/systemd/system/natspread.service", "usr/lib"},
		{"packaged, local", "/usr/local/lib/systemd/system/natspread.service", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := t.TempDir(), t.TempDir()
			for _, root := range []string{ours, theirs} {
				if test.file != "" {
					writeFile(t, filepath.Join(root, test.file), unitText(t, "/usr/sbin/natspread"), 0o644)
					writeFile(t, filepath.Join(root, filepath.Dir(test.file), DropInName), dropInText(t, "/usr/sbin/natspread"), 0o644)
					writeFile(t, filepath.Join(root, filepath.Dir(test.file), paths.HealthUnit), healthText(t, "/usr/sbin/natspread"), 0o644)
				}
				if test.merged != "" {
					symlink(t, test.merged, filepath.Join(root, "lib"))
				}
			}
			if test.file == "" {
				writeFile(t, filepath.Join(theirs, administratorPath), unitText(t, testProgram), 0o644)
				writeFile(t, filepath.Join(theirs, dropInPath), dropInText(t, testProgram), 0o644)
				writeFile(t, filepath.Join(theirs, healthPath), healthText(t, testProgram), 0o644)
			}
			if _, err := InstallOffline(ours, testProgram); err != nil {
				t.Fatal(err)
			}
			if state := systemctlEnabled(t, ours, paths.HealthUnit); state != "disabled" {
				t.Errorf("before InstallHealthOffline systemctl is-enabled says %q", state)
			}
			if _, err := InstallHealthOffline(ours, testProgram, ""); err != nil {
				t.Fatal(err)
			}
			systemctlRoot(t, theirs, "enable", paths.Unit, paths.HealthUnit)
			wanted, got := tree(t, theirs), tree(t, ours)
			if test.merged != "" { // systemd up to 252 writes the older of the two names
				for i := range wanted {
					wanted[i] = strings.Replace(wanted[i], "-> /lib/", "-> /usr/lib/", 1)
				}
			}
			want(t, "image", wanted, got)
			if state := systemctlRoot(t, ours, "is-enabled", paths.Unit, paths.HealthUnit); state != "enabled\nenabled" {
				t.Errorf("systemctl is-enabled says %q", state)
			}
			systemctlRoot(t, theirs, "disable", paths.Unit, paths.HealthUnit)
			if _, err := UninstallOffline(ours); err != nil {
				t.Fatal(err)
			}
			if test.file == "" { // systemctl keeps the file, uninstall does not
				for _, path := range []string{administratorPath, healthPath, dropInPath, filepath.Dir(dropInPath)} {
					if err := os.Remove(filepath.Join(theirs, path)); err != nil {
						t.Fatal(err)
					}
				}
			}
			want(t, "image after", tree(t, theirs), tree(t, ours))
		})
	}
}

// systemctlEnabled returns what the real systemctl says of a unit that need not be enabled.
func systemctlEnabled(t *testing.T, root, unit string) string {
	t.Helper()
	said, _ := exec.Command(lookPath(t, "systemctl"), "--root="+root, "is-enabled", unit).Output()
	return strings.TrimSpace(string(said))
}

// An image's absolute symlinks mean the image, never the machine that builds it; systemctl --root itself
// loses its way here.
func TestOfflineStaysInside(t *testing.T) {
	for name, target := range map[string]string{
		"absolute": "/usr/share/systemd",
		"climbing": "../../../../../../../../usr/share/systemd",
		"chained":  "/etc/elsewhere",
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			symlink(t, "../usr/share/systemd", filepath.Join(root, "etc/elsewhere"))
			symlink(t, target, filepath.Join(root, "etc/systemd"))
			if _, err := InstallOffline(root, testProgram); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(root, "usr/share/systemd/system", paths.Unit))
			if err != nil || string(got) != unitText(t, testProgram) {
				t.Errorf("%s, %v", got, err)
			}
			if _, err := UninstallOffline(root); err != nil {
				t.Fatal(err)
			}
			want(t, "image", []string{"/etc/", "/etc/elsewhere -> ../usr/share/systemd", "/etc/systemd -> " + target,
				"/usr/", "/usr/share/", "/usr/share/systemd/", "/usr/share/systemd/system/"}, tree(t, root))
		})
	}
}

func TestOfflineSymlinkLoop(t *testing.T) {
	root := t.TempDir()
	symlink(t, "/etc/b", filepath.Join(root, "etc/systemd"))
	symlink(t, "systemd", filepath.Join(root, "etc/b"))
	_, err := InstallOffline(root, testProgram)
	if err == nil || !strings.Contains(err.Error(), "too many symlinks") {
		t.Errorf("%v", err)
	}
}

// A unit file that is a symlink is not written through, wherever it leads.
func TestOfflineUnitIsSymlink(t *testing.T) {
	root, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	writeFile(t, victim, "theirs", 0o644)
	symlink(t, victim, filepath.Join(root, administratorPath))
	_, err := InstallOffline(root, testProgram)
	if err == nil || !strings.Contains(err.Error(), "changed by hand") {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "theirs" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOfflineNoRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "missing")
	message := "cannot open the root " + root + ": no such file or directory"
	if _, err := InstallOffline(root, testProgram); err == nil || err.Error() != message {
		t.Errorf("%v", err)
	}
	if _, err := UninstallOffline(root); err == nil || err.Error() != message {
		t.Errorf("%v", err)
	}
}

func TestOfflineBadProgram(t *testing.T) {
	root := t.TempDir()
	if _, err := InstallOffline(root, "natspread"); err == nil {
		t.Error("a relative program was taken")
	}
	want(t, "image", nil, tree(t, root))
}

// Others' files beside ours, and dot-files that only resemble ours, survive install and uninstall; what a
// killed install left does not.
func TestOfflineSweepsAndSpares(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, administratorDir)
	spared := []string{
		"natspread.service.d/override.conf", ".other.service1234567890123456789", "other.service",
		"multi-user.target.wants/other.service", "natspread.service.wants/other.service",
	}
	for _, name := range spared {
		writeFile(t, filepath.Join(dir, name), "theirs", 0o644)
	}
	before := tree(t, root)
	writeFile(t, filepath.Join(dir, ".natspread.service1234567890123456789"), "cut", 0o644)
	symlink(t, "cut", filepath.Join(dir, "multi-user.target.wants/.natspread.service1234567890123456789"))
	if _, err := InstallOffline(root, testProgram); err != nil {
		t.Fatal(err)
	}
	symlink(t, administratorPath, filepath.Join(dir, "rescue.target.requires", paths.Unit))
	if _, err := UninstallOffline(root); err != nil {
		t.Fatal(err)
	}
	want(t, "image", before, tree(t, root))
}

// TestWhoseUnit tries every owner of the file at administratorPath, with and without a packaged unit.
func TestWhoseUnit(t *testing.T) {
	const packaged, written = "/usr/lib/systemd/system/natspread.service", "/etc/systemd/system/natspread.service"
	for _, test := range []struct {
		name     string
		packaged bool
		file     string // "" for none, "ours", "old", "masked", or the contents
		unit     string
		done     string
		err      string
	}{
		{"none", false, "", written, "wrote ROOT" + written, ""},
		{"ours", false, "ours", written, "", ""},
		{"ours, older", false, "old", written, "wrote ROOT" + written, ""},
		{"theirs", false, "[Service]\n", "", "", "cannot write ROOT" + written + ": it was changed by hand; move it away, and keep changes in a drop-in: systemctl edit natspread.service"},
		{"masked", false, "masked", "", "", "cannot enable natspread.service: it is masked by ROOT" + written + "; to allow it: systemctl unmask natspread.service"},
		{"packaged", true, "", packaged, "", ""},
		{"packaged, ours", true, "ours", packaged, "removed ROOT" + written + ", which hid the package's unit", ""},
		{"packaged, theirs", true, "[Service]\n", written, "", ""},
		{"packaged, masked", true, "masked", "", "", "cannot enable natspread.service: it is masked by ROOT" + written + "; to allow it: systemctl unmask natspread.service"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			if test.packaged {
				writeFile(t, filepath.Join(root, packaged), "[Service]\n", 0o644)
			}
			switch test.file {
			case "":
			case "ours":
				writeFile(t, filepath.Join(root, written), unitText(t, testProgram), 0o644)
			case "old":
				writeFile(t, filepath.Join(root, written), string(theUnit().stamp([]byte("[Service]\n"))), 0o644)
			case "masked":
				symlink(t, "/dev/null", filepath.Join(root, written))
			default:
				writeFile(t, filepath.Join(root, written), test.file, 0o644)
			}
			unit, done, err := theUnit().provide(root, testProgram)
			if message := strings.ReplaceAll(test.err, "ROOT", root); (err == nil) != (message == "") || err != nil && err.Error() != message {
				t.Errorf("error\n  %v\nwant\n  %v", err, message)
			}
			if err == nil && unit != test.unit {
				t.Errorf("unit %q, want %q", unit, test.unit)
			}
			if got := strings.Join(done, "; "); got != strings.ReplaceAll(test.done, "ROOT", root) {
				t.Errorf("done %q, want %q", got, test.done)
			}
		})
	}
}

// TestWhoseDropIn tries every owner of the drop-in; one that the administrator masked is not wanted.
func TestWhoseDropIn(t *testing.T) {
	const packaged, written = "/usr/lib/systemd/system/" + DropInName, "/etc/systemd/system/" + DropInName
	for _, test := range []struct {
		name     string
		packaged bool
		file     string // "" for none, "ours", "masked", or the contents
		path     string
		done     string
		err      string
	}{
		{"none", false, "", written, "wrote ROOT" + written, ""},
		{"ours", false, "ours", written, "", ""},
		{"theirs", false, "[Service]\n", "", "", "changed by hand"},
		{"masked", false, "masked", written, "", ""},
		{"packaged", true, "", packaged, "", ""},
		{"packaged, ours", true, "ours", packaged, "removed ROOT" + written + ", which hid the package's drop-in", ""},
		{"packaged, theirs", true, "[Service]\n", written, "", ""},
		{"packaged, masked", true, "masked", written, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			if test.packaged {
				writeFile(t, filepath.Join(root, packaged), "[Service]\n", 0o644)
			}
			switch test.file {
			case "":
			case "ours":
				writeFile(t, filepath.Join(root, written), dropInText(t, testProgram), 0o644)
			case "masked":
				symlink(t, "/dev/null", filepath.Join(root, written))
			default:
				writeFile(t, filepath.Join(root, written), test.file, 0o644)
			}
			path, done, err := theDropIn().provide(root, testProgram)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%v, want %q", err, test.err)
			}
			if err == nil && path != test.path {
				t.Errorf("path %q, want %q", path, test.path)
			}
			if got := strings.Join(done, "; "); got != strings.ReplaceAll(test.done, "ROOT", root) {
				t.Errorf("done %q, want %q", got, test.done)
			}
		})
	}
}

// One changed byte makes the file the administrator's: uninstall keeps it.
func TestChangedByHandIsKept(t *testing.T) {
	root := t.TempDir()
	changed := strings.Replace(unitText(t, testProgram), "TimeoutStartSec=90s", "TimeoutStartSec=91s", 1)
	writeFile(t, filepath.Join(root, administratorPath), changed, 0o644)
	done, err := UninstallOffline(root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "done", phrases(root, "kept ROOT/etc/systemd/system/natspread.service, which was changed by hand"), done)
	if got, err := os.ReadFile(filepath.Join(root, administratorPath)); err != nil || string(got) != changed {
		t.Errorf("%s, %v", got, err)
	}
}
