package generation_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// setMode sets the mode of a directory, with the sticky bit as the kernel has it.
func setMode(t *testing.T, path string, mode uint32) {
	t.Helper()
	hosttest.Must(t, unix.Chmod(path, mode))
}

// TestSticky trusts what is below a directory in which all may write as long as that is
// sticky, is root's and is above natspread's own, and nothing else.
func TestSticky(t *testing.T) {
	if !netnstest.IsolateAsRoot(t) { // who may give files away
		return
	}
	for _, c := range []struct {
		name  string
		dir   string // below the root
		mode  uint32
		owner int
		good  bool
	}{
		{"the root is sticky", ".", 0o1777, 0, true},
		{"the root is not", ".", 0o777, 0, false},
		{"above it is sticky", "var/lib", 0o1777, 0, true},
		{"above it is a group's, and sticky", "var", 0o1775, 0, true},
		{"above it is not sticky", "var/lib", 0o777, 0, false},
		{"above it is a group's", "var", 0o775, 0, false},
		{"above it is sticky, and another's", "var/lib", 0o1777, 1234, false},
		{"its own is sticky", paths.State, 0o1777, 0, false},
		{"below its own is sticky", paths.Generations, 0o1777, 0, false},
		{"the generation is sticky", paths.Generations + "/2", 0o1777, 0, false},
		{"the file is sticky", paths.Generations + "/2/rules.v4", 0o1666, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := two(t)
			path := filepath.Join(store.Root, c.dir)
			hosttest.Must(t, os.Chown(path, c.owner, 0))
			setMode(t, path, c.mode)
			_, err := store.Read(2)
			var untrusted *generation.UntrustedError
			if (err == nil) != c.good || err != nil && !errors.As(err, &untrusted) {
				t.Fatalf("%v", err)
			}
			if c.good {
				return
			}
			netnstest.Self().Command(t, untrusted.Fix, "sh", "-e")
			if _, err := store.Read(2); c.owner == 0 && err != nil {
				t.Errorf("after %s: %v", untrusted.Fix, err)
			}
		})
	}
}

// TestStickyRun tells what waits to be confirmed also where /run is sticky, and says what to
// do where others may replace its record.
func TestStickyRun(t *testing.T) {
	if !netnstest.IsolateAsRoot(t) {
		return
	}
	store := generation.Store{Root: hosttest.Root(t)}
	hosttest.Must(t, os.MkdirAll(store.Path(paths.Run), 0o700))
	run := store.Path(filepath.Dir(paths.Run))
	want := func(fix string) {
		t.Helper()
		var untrusted *generation.UntrustedError
		err := store.RefusePending()
		if fix == "" && err != nil || fix != "" && (!errors.As(err, &untrusted) || untrusted.Fix != fix) {
			t.Errorf("%v, want the fix %q", err, fix)
		}
	}
	setMode(t, run, 0o1777)
	want("")
	hosttest.Must(t, store.RecordPending(generation.Pending{Number: 3, Variant: rules.NFT}))
	if pending, err := store.Pending(); err != nil || pending.Number != 3 {
		t.Errorf("%+v, %v", pending, err)
	}
	hosttest.Must(t, store.ForgetPending())
	setMode(t, run, 0o777)
	want("chmod go-w " + run)
	setMode(t, run, 0o1777)
	hosttest.Must(t, os.Chown(store.Path(paths.Run), 1234, 0)) // somebody was there first
	want("chown root " + store.Path(paths.Run))
	hosttest.Must(t, os.RemoveAll(store.Path(paths.Run)))
	hosttest.Must(t, os.Symlink("/etc", store.Path(paths.Run)))
	if err := store.RefusePending(); err == nil {
		t.Error("a link in the place of its own directory is followed")
	}
}

// TestLinksAbove follows links that root made above natspread's own directory, where only root
// can change them, and no others. Writer and reader agree on each.
func TestLinksAbove(t *testing.T) {
	if !netnstest.IsolateAsRoot(t) {
		return
	}
	const other = 1234
	for _, c := range []struct {
		name   string
		target string // of the link var/lib
		spoil  func(root string) error
		fix    string // below the root; "" where it is good, "-" where no line fixes it
	}{
		{"absolute", "/data/lib", nil, ""},
		{"relative", "../data/lib", nil, ""},
		{"above the root", "../../../../../data/lib", nil, ""},
		{"by another link", "/disk/lib", func(root string) error { return os.Symlink("data", root+"/disk") }, ""},
		{"its target is sticky", "/data/lib", func(root string) error { return unix.Chmod(root+"/data/lib", 0o1777) }, ""},
		{"another's link", "/data/lib", func(root string) error { return os.Lchown(root+"/var/lib", other, other) }, "chown -h root /var/lib"},
		{"another's second link", "/disk/lib", func(root string) error {
			return errors.Join(os.Symlink("data", root+"/disk"), os.Lchown(root+"/disk", other, other))
		}, "chown -h root /disk"},
		{"in another's directory", "/data/lib", func(root string) error { return os.Chown(root+"/var", other, 0) }, "chown root /var"},
		{"in a group's directory", "/data/lib", func(root string) error { return unix.Chmod(root+"/var", 0o775) }, "chmod go-w /var"},
		{"in a sticky directory", "/data/lib", func(root string) error { return unix.Chmod(root+"/var", 0o1777) }, "chmod go-w /var"},
		{"into another's directory", "/data/lib", func(root string) error { return os.Chown(root+"/data/lib", other, 0) }, "chown root /data/lib"},
		{"through another's directory", "/data/lib", func(root string) error { return os.Chown(root+"/data", other, 0) }, "chown root /data"},
		{"through one that all may write", "/data/lib", func(root string) error { return unix.Chmod(root+"/data", 0o777) }, "chmod go-w /data"},
		{"round in a circle", "/var/lib", nil, "-"},
		{"to a file", "/data/lib/natspread/current/manifest", nil, "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := two(t)
			hosttest.Must(t, os.Mkdir(store.Root+"/data", 0o755))
			hosttest.Must(t, os.Rename(store.Root+"/var/lib", store.Root+"/data/lib"))
			hosttest.Must(t, os.Symlink(c.target, store.Root+"/var/lib"))
			if c.spoil != nil {
				hosttest.Must(t, c.spoil(store.Root))
			}
			before := netnstest.Self().Command(t, "", "ls", "-lR", store.Root)
			_, readErr := store.Read(2)
			number, writeErr := store.Write(hosttest.Generation(t, rules.NFT, hosttest.Article))
			if (readErr == nil) != (c.fix == "") || (writeErr == nil) != (c.fix == "") {
				t.Fatalf("read: %v; written as %d: %v", readErr, number, writeErr)
			}
			if c.fix == "" {
				hosttest.Must(t, store.SetCurrent(3))
				if _, err := os.Stat(store.Root + "/data/lib/natspread/generations/3/manifest"); err != nil {
					t.Error(err)
				}
				return
			}
			hosttest.WantSame(t, "what is on disk", before, netnstest.Self().Command(t, "", "ls", "-lR", store.Root))
			if c.fix == "-" {
				return
			}
			for _, err := range []error{readErr, writeErr} {
				var untrusted *generation.UntrustedError
				verb, path, _ := strings.Cut(c.fix, " /")
				if want := verb + " " + store.Root + "/" + path; !errors.As(err, &untrusted) || untrusted.Fix != want {
					t.Errorf("%v; the fix is to be %s", err, want)
				}
			}
			var untrusted *generation.UntrustedError
			errors.As(readErr, &untrusted)
			netnstest.Self().Command(t, untrusted.Fix, "sh", "-e")
			if _, err := store.Read(2); err != nil {
				t.Errorf("after %s: %v", untrusted.Fix, err)
			}
		})
	}
}
