package units

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstallProgram(t *testing.T) {
	root, from := t.TempDir(), filepath.Join(t.TempDir(), "natspread-1.0")
	target := filepath.Join(root, testProgram)
	install := func(source string) os.FileInfo {
		t.Helper()
		path, _, err := InstallProgram(root, source)
		if err != nil || path != testProgram {
			t.Fatalf("%q, %v", path, err)
		}
		info, err := os.Lstat(target)
		if err != nil || info.Mode() != 0o755 {
			t.Fatalf("%v, %v", info.Mode(), err)
		}
		if got, err := os.ReadFile(target); err != nil || !strings.HasPrefix(string(got), "program") {
			t.Fatalf("%q, %v", got, err)
		}
		return info
	}
	writeFile(t, from, "program 1", 0o700)
	first := install(from)
	if !os.SameFile(first, install(from)) {
		t.Error("the same bytes were written again")
	}
	if !os.SameFile(first, install(target)) {
		t.Error("the file was replaced by itself")
	}
	writeFile(t, from, "program 2", 0o700)
	second := install(from)
	if os.SameFile(first, second) {
		t.Error("a new program of the same size was not copied")
	}
	if err := os.Chmod(target, 0o775); err != nil {
		t.Fatal(err)
	}
	install(from)
	want(t, "image", []string{"/usr/", "/usr/local/", "/usr/local/sbin/", testProgram}, tree(t, root))
}

// The running program is replaced by a rename, which a busy text file does not hinder.
func TestInstallProgramWhileItRuns(t *testing.T) {
	root := t.TempDir()
	sleep, err := os.ReadFile(lookPath(t, "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(root, testProgram)
	writeFile(t, target, string(sleep), 0o755)
	running := exec.Command(target, "60")
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = running.Process.Kill(); _ = running.Wait() }()
	from := filepath.Join(t.TempDir(), "natspread")
	writeFile(t, from, "program", 0o755)
	if _, _, err := InstallProgram(root, from); err != nil {
		t.Error(err)
	}
}

// In an image the place may be a symlink to anywhere: its directory is looked up inside, the file not at all.
func TestInstallProgramInside(t *testing.T) {
	root, from, victim := t.TempDir(), filepath.Join(t.TempDir(), "natspread"), filepath.Join(t.TempDir(), "victim")
	writeFile(t, from, "program", 0o755)
	writeFile(t, victim, "program", 0o755)
	symlink(t, "/opt/sbin", filepath.Join(root, "usr/local/sbin"))
	symlink(t, victim, filepath.Join(root, "opt/sbin/natspread"))
	if _, _, err := InstallProgram(root, from); err != nil {
		t.Fatal(err)
	}
	want(t, "image", []string{"/opt/", "/opt/sbin/", "/opt/sbin/natspread", "/usr/", "/usr/local/",
		"/usr/local/sbin -> /opt/sbin"}, tree(t, root))
}

func TestInstallProgramRefuses(t *testing.T) {
	root := t.TempDir()
	missing := filepath.Join(root, "missing")
	for from, message := range map[string]string{
		missing: "cannot copy the program " + missing + ": no such file or directory",
		root:    "cannot copy the program " + root + ": it is not a regular file",
	} {
		if _, _, err := InstallProgram(root, from); err == nil || err.Error() != message {
			t.Errorf("%v", err)
		}
	}
	want(t, "image", nil, tree(t, root))
	writeFile(t, filepath.Join(root, testProgram, "file"), "", 0o644)
	writeFile(t, missing, "program", 0o755)
	if _, _, err := InstallProgram(root, missing); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("%v", err)
	}
}

func TestOwned(t *testing.T) {
	const path = "/usr/sbin/natspread"
	for _, test := range []struct {
		name      string
		dpkg, rpm string // "" fails, as both do for a file that no package owns
		owned     bool
	}{
		{"neither", "", "", false},
		{"dpkg", "natspread: /usr/sbin/natspread\n", "", true},
		{"two packages", "natspread, other: /usr/sbin/natspread\n", "", true},
		{"rpm", "", "natspread-1.0-1.x86_64\n", true},
		{"diversion only", "diversion by other from: /usr/sbin/natspread\ndiversion by other to: /usr/sbin/natspread.real\n", "", false},
		{"a longer path", "other: /opt/usr/sbin/natspread\nother: /usr/sbin/natspread-ng\n", "", false},
		{"rpm says nothing", "", "\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
				said := map[string]string{"/usr/bin/dpkg-query -S " + path: test.dpkg, "/usr/bin/rpm -qf " + path: test.rpm}[name+" "+strings.Join(args, " ")]
				if said == "" {
					return nil, errors.New("exit status 1")
				}
				return []byte(said), nil
			}
			if got := Owned(context.Background(), run, path); got != test.owned {
				t.Errorf("%v", got)
			}
		})
	}
}

// The real dpkg-query: it owns itself, takes no pattern for a path, and owns no file of this test.
func TestOwnedForReal(t *testing.T) {
	lookPath(t, "dpkg-query")
	run := func(ctx context.Context, _ []byte, name string, args ...string) ([]byte, error) {
		return exec.CommandContext(ctx, name, args...).Output()
	}
	mine := filepath.Join(t.TempDir(), "natspread")
	writeFile(t, mine, "", 0o755)
	for path, want := range map[string]bool{"/usr/bin/dpkg-query": true, "/usr/bin/dpkg-quer?": false, mine: false} {
		if got := Owned(context.Background(), run, path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
