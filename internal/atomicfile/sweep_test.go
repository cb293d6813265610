package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/renameio/v2"
)

// leftOver leaves what a kill between the two halves of WriteFile and of Symlink leaves, made by the very
// code that names the temporaries, so that a new renameio that names them otherwise is found out.
func leftOver(t *testing.T, path string) {
	t.Helper()
	pending, unlock, err := temporary(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := pending.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := symlinkBeside("target", path); err != nil {
		t.Fatal(err)
	}
}

// strangers are names that look like ours but for one thing each.
var strangers = []string{
	"rules.v4",
	"rules.v41234567890123456789",    // no dot
	".rules.v4",                      // no number
	".rules.v4.20240101120000",       // a date
	".rules.v4123456789012345678x",   // no digit at the end
	".1234567890123456789",           // no name
	".rules.v4-1234567890123456789~", // an editor's back-up
	".notes0000000000000000000",      // leading zeros
	".rules.v4\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667", // digits of another script
}

func TestSweep(t *testing.T) {
	for _, test := range []struct {
		name    string
		targets []string
		left    []string // of what has our shape
	}{
		{"all", nil, nil},
		{"named", []string{"rules.v4", "current"}, []string{".notes1234567890123456789"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			leftOver(t, filepath.Join(dir, "rules.v4"))
			leftOver(t, filepath.Join(dir, "current"))
			put(t, filepath.Join(dir, ".notes1234567890123456789"), "", 0o600)
			want := append([]string{".rules.v49123456789012345678"}, test.left...)
			for _, name := range strangers {
				put(t, filepath.Join(dir, name), "", 0o600)
				want = append(want, name)
			}
			if err := os.Mkdir(filepath.Join(dir, ".rules.v49123456789012345678"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := Sweep(dir, test.targets...); err != nil {
				t.Fatal(err)
			}
			wantNames(t, dir, want)
		})
	}
}

// wantNames compares sets: os.ReadDir sorts by byte, the tables by thought.
func wantNames(t *testing.T, dir string, want []string) {
	t.Helper()
	set := func(names []string) map[string]bool {
		found := map[string]bool{}
		for _, name := range names {
			found[name] = true
		}
		return found
	}
	if diff := cmp.Diff(set(want), set(names(t, dir))); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A short number may be somebody's own name for a copy, also behind the name of a target. None is given to
// a temporary.
func TestSweepNamedShortNumbers(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for _, name := range []string{".rules.v40", ".rules.v47", ".rules.v4123456789012345", ".rules.v49999999999999999999"} {
		put(t, filepath.Join(dir, name), "", 0o600)
		want = append(want, name)
	}
	put(t, filepath.Join(dir, fmt.Sprint(".rules.v4", 1<<63-1)), "", 0o600)
	if err := Sweep(dir, "rules.v4"); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, want)
}

// TestSweepSparesTheLiving sweeps at the two moments at which a file is still being written: before its
// writer has the lock, whose file then is another one, and after that. A third writer sweeps the dead one.
func TestSweepSparesTheLiving(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rules.v4")
	leftOver(t, path)
	err := write(path, []byte("first"), 0o600, func(first *renameio.PendingFile) error {
		if got := names(t, dir); len(got) != 1 {
			t.Errorf("while the first is written there are %v", got)
		}
		if err := Sweep(dir); err != nil {
			return err
		}
		if err := WriteFile(path, []byte("second"), 0o600); err != nil {
			return err
		}
		return first.CloseAtomicallyReplace()
	})
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, []string{"rules.v4"})
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}

	file, err := os.Create(filepath.Join(dir, ".rules.v41234567890123456789"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	unlock, named, err := hold(file)
	if err != nil || named {
		t.Errorf("a file that was swept has its name still: %v", err)
	}
	unlock()
}

// TestTwoWritersAndTheirSweeps writes the same two names again and again by several writers, each of which
// sweeps as it begins: no write fails, and nothing stays.
func TestTwoWritersAndTheirSweeps(t *testing.T) {
	dir := t.TempDir()
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 100 {
				if err := errors.Join(WriteFile(filepath.Join(dir, "file"), []byte("whole"), 0o600),
					Symlink("target", filepath.Join(dir, "link")), Sweep(dir)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	wantNames(t, dir, []string{"file", "link"})
}

func TestSweepMissingDirectory(t *testing.T) {
	if err := Sweep(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "", 0o600)
	wantError(t, Sweep(file), "cannot sweep "+file+": not a directory")
}
