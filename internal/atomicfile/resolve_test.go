package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// image makes a root with directories, and with links by name.
func image(t *testing.T, directories []string, links map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	for _, dir := range directories {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range links {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestResolve follows an image's links as a process in it would, and never out of it.
func TestResolve(t *testing.T) {
	root := image(t, []string{"a/b", "data/lib"}, map[string]string{
		"relative": "data/lib", "absolute": "/data/lib", "a/up": "../data", "a/far": "../../../../data/lib", "top": "/", "here": ".",
		"chain": "a/up/lib", "dangling": "/not/there", "loop": "loop", "one": "two", "two": "/one", "climbs": "not/../../../../a", "a/out": "../../a",
	})
	if err := os.Symlink("root/data", filepath.Join(filepath.Dir(root), "a")); err != nil { // where no way may lead
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "file"), "", 0o600)
	for dir, want := range map[string]string{
		"":                     "",
		"/":                    "",
		"a/b":                  "a/b",
		"//a/./b/":             "a/b",
		"a/../a/b":             "a/b",
		"../a":                 "a",
		"../../a":              "a",
		"a/out":                "a",
		"relative":             "data/lib",
		"absolute/x/y":         "data/lib/x/y",
		"a/up/lib":             "data/lib",
		"a/far":                "data/lib",
		"top/a":                "a",
		"here/a":               "a",
		"chain":                "data/lib",
		"relative/..":          "data",
		"dangling/x":           "not/there/x",
		"missing/../../../etc": "etc",
		"climbs":               "a",
		"file":                 "file",
	} {
		got, err := Resolve(root, dir, nil)
		if err != nil || got != filepath.Join(root, want) {
			t.Errorf("%s: %s, %v; want %s", dir, strings.TrimPrefix(got, root), err, want)
		}
	}
	for dir, want := range map[string]string{"loop": "too many symlinks", "one/x": "too many symlinks", "file/x": "not a directory"} {
		if got, err := Resolve(root, dir, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", dir, got, err)
		}
	}
	if _, err := Resolve(root+"/missing", "a", nil); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a root that is missing: %v", err)
	}
}

// TestResolveAsksTheGuard shows it every directory and link on the way, and stops where it says so.
func TestResolveAsksTheGuard(t *testing.T) {
	root := image(t, []string{"data/lib/own"}, map[string]string{"var": "/data", "data/link": "lib"})
	var seen []string
	guard := func(step Step) error {
		var stat unix.Stat_t
		if err := unix.Fstat(step.FD, &stat); err != nil || step.IsLink != (stat.Mode&unix.S_IFMT == unix.S_IFLNK) {
			t.Errorf("%+v: %v", step, err)
		}
		word := "directory"
		if step.IsLink {
			word = "link"
		}
		seen = append(seen, strings.TrimPrefix(step.Path, root)+" "+word+" "+string(rune('0'+step.Left)))
		return nil
	}
	if _, err := Resolve(root, "var/link/own/missing", guard); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		" directory 4", "/var link 3", " directory 4", "/data directory 3", "/data/link link 2", "/data directory 3",
		"/data/lib directory 2", "/data/lib/own directory 1",
	}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stop := errors.New("stop")
	for _, at := range []string{"", "/var", "/data/lib"} {
		if _, err := Resolve(root, "var/link/own", func(step Step) error {
			if step.Path == root+at {
				return stop
			}
			return nil
		}); !errors.Is(err, stop) {
			t.Errorf("at %q: %v", at, err)
		}
	}
}

// TestResolveLeavesNothingOpen counts descriptors.
func TestResolveLeavesNothingOpen(t *testing.T) {
	root := image(t, []string{"a/b/c"}, map[string]string{"link": "/a/b", "loop": "loop"})
	before := len(names(t, "/proc/self/fd"))
	for _, dir := range []string{"a/b/c", "link/../../a/b/c/d", "loop", "a/b/c/../../.."} {
		_, _ = Resolve(root, dir, nil)
		if fd, _, err := OpenDir(root, dir+"/file", nil); err == nil {
			unix.Close(fd)
		}
	}
	if after := len(names(t, "/proc/self/fd")); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
