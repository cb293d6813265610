package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// names lists what is in dir, dot-files too.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

// put writes a file by the plain means that this package replaces.
func put(t *testing.T, path, data string, perm fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, perm); err != nil {
		t.Fatal(err)
	}
}

// wantFile compares contents and mode, and looks for anything left beside the file.
func wantFile(t *testing.T, path, data string, perm fs.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != data {
		t.Errorf("%s holds %q, want %q", path, got, data)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != perm {
		t.Errorf("%s has mode %v, want %v", path, info.Mode(), perm)
	}
	if diff := cmp.Diff([]string{filepath.Base(path)}, names(t, filepath.Dir(path))); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

// wantError demands an error that begins in the house's way and names its cause, but no temporary file.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Fatalf("error\n  %v\nwant\n  %s", err, want)
	}
}

func TestWriteFileNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.v4")
	if err := WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "new", 0o600)
}

// An existing mode is what renameio.WriteFile keeps: rules that anybody may write would stay so for ever.
func TestWriteFileDoesNotKeepMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.v4")
	put(t, path, "old", 0o666)
	if err := WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "new", 0o600)
}

func TestModesIgnoreUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{dir, filepath.Dir(dir)} {
		info, err := os.Stat(made)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o755 {
			t.Errorf("%s has mode %v", made, info.Mode())
		}
	}
	path := filepath.Join(dir, "natspread")
	if err := WriteFile(path, []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "program", 0o755)
}

func TestWriteFileReplacesSymlink(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "theirs")
	put(t, elsewhere, "theirs", 0o644)
	path := filepath.Join(dir, "ours")
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("ours"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "ours", 0o644)
	wantFile(t, elsewhere, "theirs", 0o644)
}

func TestTargetIsDirectory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "current")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	wantError(t, WriteFile(path, nil, 0o600), "cannot write "+path+": it is a directory")
	wantError(t, Symlink("generations/1", path), "cannot link "+path+": something that is not a symlink is in its place")
	if diff := cmp.Diff([]string{"current"}, names(t, dir)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

func TestMissingDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	path := filepath.Join(dir, "file")
	wantError(t, WriteFile(path, nil, 0o600), "cannot write "+path+": no such file or directory")
	wantError(t, Symlink("target", path), "cannot link "+path+": no such file or directory")
	wantError(t, SyncDir(dir), "cannot sync directory "+dir+": no such file or directory")
	if err := WriteFile(path, nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func TestSymlink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "current")
	for _, target := range []string{"generations/1", "generations/2", "/absolute", "generations/2"} {
		if err := Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Fatalf("link to %q, %v; want %q", got, err, target)
		}
	}
	if diff := cmp.Diff([]string{"current"}, names(t, filepath.Dir(path))); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

func TestSymlinkKeepsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "current")
	put(t, path, "data", 0o644)
	wantError(t, Symlink("target", path), "cannot link "+path+": something that is not a symlink is in its place")
	wantFile(t, path, "data", 0o644)
}

func TestMkdirAll(t *testing.T) {
	top := t.TempDir()
	put(t, filepath.Join(top, "file"), "", 0o600)
	if err := os.Symlink("real", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(top, "real"), 0o711); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"a/b/c", "a/b/c", "a/b/d", "link/e", "."} {
		if err := MkdirAll(filepath.Join(top, dir), 0o700); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		if info, err := os.Stat(filepath.Join(top, dir)); err != nil || !info.IsDir() {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
	if info, err := os.Stat(filepath.Join(top, "real")); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("an existing directory's mode was changed: %v, %v", info.Mode(), err)
	}
	wantError(t, MkdirAll(filepath.Join(top, "file"), 0o700), "cannot make directory "+top+"/file: file exists")
	wantError(t, MkdirAll(filepath.Join(top, "file/x"), 0o700), "cannot make directory "+top+"/file: file exists")
}

// A reader that opens the target at any moment sees one whole version.
func TestReadersSeeWholeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.v4")
	versions := [2][]byte{bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<18)}
	if err := WriteFile(path, versions[0], 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		var err error
		for i := 1; i <= 200 && err == nil; i++ {
			err = WriteFile(path, versions[i%2], 0o600)
		}
		written <- err
	}()
	for {
		select {
		case err := <-written:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, versions[0]) && !bytes.Equal(got, versions[1]) {
				t.Fatalf("read %d bytes beginning with %.10q, %v", len(got), got, err)
			}
		}
	}
}

func TestErrorNamesNoTemporary(t *testing.T) {
	err := WriteFile(filepath.Join(t.TempDir(), strings.Repeat("x", 250)), nil, 0o600)
	if !errors.Is(err, syscall.ENAMETOOLONG) || strings.Contains(err.Error(), "/.x") {
		t.Errorf("%v", err)
	}
}
