package units

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"natspread/internal/paths"
)

// lookPath skips a test that needs one of systemd's programs where it is not installed.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s on this machine", name)
	}
	return path
}

// verify returns what systemd-analyze complains about when the unit is started with the units in dir and
// those that systemd itself ships. Its exit code is 0 for a cycle and for an unknown key alike.
func verify(t *testing.T, dir, unit string) string {
	t.Helper()
	analyze := exec.Command(lookPath(t, "systemd-analyze"), "verify", "--man=no", "--generators=no", unit)
	analyze.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_LOG_TARGET=console", "SYSTEMD_LOG_COLOR=no",
		"SYSTEMD_UNIT_PATH="+dir+":/usr/lib/systemd/system:/lib/systemd/system")
	stderr := &bytes.Buffer{}
	analyze.Stderr = stderr
	if err := analyze.Run(); err != nil && stderr.Len() == 0 {
		t.Fatalf("systemd-analyze: %v", err)
	}
	return stderr.String()
}

// writeFile writes a file of the scene, with its directory.
func writeFile(t *testing.T, path, data string, perm os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), perm); err != nil {
		t.Fatal(err)
	}
}

// systemctlRoot runs the real systemctl on an image.
func systemctlRoot(t *testing.T, root string, args ...string) string {
	t.Helper()
	output, err := exec.Command(lookPath(t, "systemctl"), append([]string{"--root=" + root}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("systemctl --root=DIR %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output))
}

// relativeAliases keeps the aliases that systemctl made working where root is not /.
func relativeAliases(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		target, err := os.Readlink(path)
		if err != nil {
			continue
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Base(target), path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBootOrder starts multi-user.target with our unit among the firewall services of a machine: a cycle
// would make systemd drop one of them without a word to anybody.
func TestBootOrder(t *testing.T) {
	for _, path := range stories(t, "boot") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, files := story(t, path)
			root := t.TempDir()
			dir := filepath.Join(root, administratorDir)
			want := strings.TrimSpace(files["want"])
			delete(files, "want")
			for name, data := range files {
				writeFile(t, filepath.Join(dir, name), data, 0o644)
				if strings.HasSuffix(name, ".service") && strings.Contains(data, "[Install]") {
					systemctlRoot(t, root, "enable", name)
				}
			}
			relativeAliases(t, dir)
			if before := verify(t, dir, "multi-user.target"); before != "" {
				t.Fatalf("the scene itself is not clean:\n%s", before)
			}
			if _, err := InstallOffline(root, "/bin/true"); err != nil {
				t.Fatal(err)
			}
			if _, err := InstallHealthOffline(root, "/bin/true", ""); err != nil {
				t.Fatal(err)
			}
			after := verify(t, dir, "multi-user.target")
			if want == "" && after != "" || !strings.Contains(after, want) {
				t.Errorf("systemd-analyze verify wants %q, says\n%s", want, after)
			}
		})
	}
}

// TestVerify lets systemd find the programs of the goldens: a path quoted wrongly would not be executable.
func TestVerify(t *testing.T) {
	for _, path := range stories(t, "text") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, files := story(t, path)
			scene := t.TempDir()
			command := filepath.Join(scene, strings.TrimSuffix(files["program"], "\n"))
			writeFile(t, command, "#!/bin/sh\n", 0o755)
			text, err := Text(command)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(scene, "units")
			writeFile(t, filepath.Join(dir, paths.Unit), string(theUnit().stamp(text)), 0o644)
			if complaint := verify(t, dir, paths.Unit); complaint != "" {
				t.Error(complaint)
			}
			if err := os.Remove(command); err != nil {
				t.Fatal(err)
			}
			if verify(t, dir, paths.Unit) == "" {
				t.Error("a missing program was not noticed: this test has proven nothing")
			}
		})
	}
}

// TestVerifyDropIn adds the drop-ins of the goldens to the kind of service that they are for.
func TestVerifyDropIn(t *testing.T) {
	for _, path := range stories(t, "dropin") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, files := story(t, path)
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "nftables.service"), "[Service]\nType=oneshot\nExecStart=/bin/true\n", 0o644)
			dropIn := filepath.Join(dir, DropInName)
			writeFile(t, dropIn, files["natspread.conf"], 0o644)
			if complaint := verify(t, dir, "nftables.service"); complaint != "" {
				t.Error(complaint)
			}
			writeFile(t, dropIn, strings.ReplaceAll(files["natspread.conf"], "'for", "for"), 0o644)
			if verify(t, dir, "nftables.service") == "" {
				t.Error("an open quote was not noticed: this test has proven nothing")
			}
		})
	}
}

// exposure returns what "systemd-analyze security" makes of a unit: 0 is best, 10 is worst.
func exposure(t *testing.T, text string) float64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), paths.Unit)
	writeFile(t, path, text, 0o644)
	analyze := exec.Command(lookPath(t, "systemd-analyze"), "security", "--no-pager", "--offline=true", path)
	analyze.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	output, err := analyze.CombinedOutput()
	found := regexp.MustCompile(`Overall exposure level for .*: ([0-9.]+) `).FindSubmatch(output)
	if err != nil || found == nil {
		t.Fatalf("%v\n%s", err, output)
	}
	level, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return level
}

// TestExposure holds the sandbox to the best level that root with both variants can have: the rest is for
// other users, for no network and for nobody's rules.
func TestExposure(t *testing.T) {
	const bound = 1.8
	text, err := Text("/usr/local/sbin/natspread")
	if err != nil {
		t.Fatal(err)
	}
	if level := exposure(t, string(text)); level > bound {
		t.Errorf("the exposure is %v", level)
	}
	for _, line := range []string{"PrivateMounts=yes\n", "PrivateDevices=yes\n", "RestrictNamespaces=yes\n"} {
		if level := exposure(t, strings.Replace(string(text), line, "", 1)); level <= bound {
			t.Errorf("without %s the exposure is %v", line, level)
		}
	}
}

// An unknown key is what a typo in the text would be.
func TestVerifySeesTypos(t *testing.T) {
	text, err := Text("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, paths.Unit), strings.Replace(string(text), "Conflicts=", "Conflict=", 1), 0o644)
	if !strings.Contains(verify(t, dir, paths.Unit), "'Conflict'") {
		t.Error("not noticed")
	}
}
