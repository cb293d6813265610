package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// machineRoot is where ownMachine builds. It lies in memory, in the /run that
// netnstest mounts.
const machineRoot = "/run/machine"

// ownMachine gives this process, which must be isolated, a root directory of its
// own that may be written: the machine's, but /etc, /var and /usr/local are empty
// and in memory. It belongs to this process's root, as what natspread trusts must.
// iptables-restore is the one of that variant.
func ownMachine(variant string) error {
	if err := checkOwnRun(); err != nil {
		return err
	}
	for _, dir := range []string{"etc/alternatives", "etc/systemd/system", "var/lib", "run"} {
		if err := os.MkdirAll(filepath.Join(machineRoot, dir), 0o755); err != nil {
			return err
		}
	}
	if err := mirrorRoot(); err != nil {
		return err
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, verb := range []string{"", "-save", "-restore"} {
			link := filepath.Join(machineRoot, "etc/alternatives", family+verb)
			if err := os.Symlink("/usr/sbin/"+family+"-"+variant+verb, link); err != nil {
				return err
			}
		}
	}
	if err := mountMemory(filepath.Join(machineRoot, "usr/local"), "mode=0755"); err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := unix.Chroot(machineRoot); err != nil {
		return fmt.Errorf("cannot make %s the root: %w", machineRoot, err)
	}
	return os.Chdir(here)
}

// mirrorRoot lets everything at the top of the machine's file system that is not
// there yet appear below machineRoot.
func mirrorRoot() error {
	if err := unix.Mount("/run", machineRoot+"/run", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot mirror /run: %w", err)
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(machineRoot, entry.Name())
		if target, err := os.Readlink("/" + entry.Name()); err == nil {
			if err := os.Symlink(target, path); err != nil {
				return err
			}
			continue
		}
		if _, err := os.Lstat(path); err == nil || !entry.IsDir() {
			continue
		}
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("/"+entry.Name(), path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("cannot mirror /%s: %w", entry.Name(), err)
		}
	}
	return nil
}

// checkOwnRun fails unless /run is the empty one that netnstest mounts: what tells
// an isolated test from the machine.
func checkOwnRun() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err == nil && !strings.Contains(string(mounts), "netnstest /run tmpfs ") {
		err = errors.New("this is the machine's own mount namespace")
	}
	return err
}

// mountMemory covers a directory with an empty one in memory.
func mountMemory(dir, options string) error {
	if err := checkOwnRun(); err != nil {
		return err
	}
	if err := unix.Mount("test", dir, "tmpfs", unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("cannot cover %s: %w", dir, err)
	}
	return nil
}

// bind puts one file in the place of another.
func bind(source, target string) error {
	if err := checkOwnRun(); err != nil {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot put %s in the place of %s: %w", source, target, err)
	}
	return nil
}

// machine makes all that follows in a script live: the root is /, the variant the
// one that the host chose.
func machine(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 0, "machine")
	ts.Check(ownMachine(ts.Getenv("VARIANT")))
	ts.Setenv(commonFlagsName, "")
}

// replace puts a file in the place of the program behind iptables.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "replace FILE")
	program, err := filepath.EvalSymlinks("/usr/sbin/" + ts.Getenv("IPTABLES") + "-restore")
	ts.Check(err)
	ts.Check(bind(ts.MkAbs(args[0]), program))
}

// hide empties a directory.
func hide(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "hide DIRECTORY")
	ts.Check(mountMemory(ts.MkAbs(args[0]), "mode=0755"))
}

// readonly makes a file or directory, and what is below it, one that takes no
// writes.
func readonly(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "readonly PATH")
	path := ts.MkAbs(args[0])
	ts.Check(bind(path, path))
	// A mount that came with the namespace has flags that must be kept.
	var fs unix.Statfs_t
	ts.Check(unix.Statfs(path, &fs))
	flags := uintptr(fs.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	ts.Check(unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, ""))
}

// small moves a directory onto a disk of its own that has room for that many bytes.
func small(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "small DIRECTORY BYTES")
	dir := ts.MkAbs(args[0])
	before, err := os.MkdirTemp(ts.Getenv("TMPDIR"), "moved")
	ts.Check(err)
	ts.Check(os.CopyFS(before+"/copy", os.DirFS(dir)))
	ts.Check(mountMemory(dir, "mode=0755,size="+args[1]))
	ts.Check(os.CopyFS(dir, os.DirFS(before+"/copy")))
}
