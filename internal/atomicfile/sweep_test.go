package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/renameio/v2"
)

// leftOver leaves what a kill between the two halves of WriteFile and of Symlink leaves, made by the very
// code that names the temporaries, so that a new renameio that names them otherwise is found out.
func leftOver(t *testing.T, path string) {
	t.Helper()
	pending, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)))
	if err != nil {
		t.Fatal(err)
	}
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

// However short the random number, the name of the target makes the temporary known.
func TestSweepNamedShortNumbers(t *testing.T) {
	dir := t.TempDir()
	for _, number := range []int64{0, 7, 123456, 1<<63 - 1} {
		put(t, filepath.Join(dir, fmt.Sprintf(".rules.v4%d", number)), "", 0o600)
	}
	put(t, filepath.Join(dir, ".rules.v49999999999999999999"), "more than an int64", 0o600)
	if err := Sweep(dir, "rules.v4"); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, []string{".rules.v49999999999999999999"})
}

func TestSweepMissingDirectory(t *testing.T) {
	if err := Sweep(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "", 0o600)
	wantError(t, Sweep(file), "cannot sweep "+file+": not a directory")
}
