package netnstest

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestIsolatedAsRoot(t *testing.T) {
	if !IsolateAsRoot(t) {
		return
	}
	own, err := ownUser()
	if err != nil || own != firstUserNamespace || os.Getuid() != 0 || os.Getpid() != 1 {
		t.Errorf("user namespace %d (%v), uid %d and pid %d, want %d, 0 and 1", own, err, os.Getuid(), os.Getpid(), uint64(firstUserNamespace))
	}
	if entries, err := os.ReadDir("/run"); err != nil || len(entries) != 1 || entries[0].Name() != "netns" {
		t.Errorf("/run holds %v, %v", entries, err)
	}
	if err := os.Chown(t.TempDir(), 1, 1); err != nil {
		t.Errorf("a directory cannot belong to another user: %v", err)
	}
	// 32 MB is beyond every wmem_max; only the machine's own root may ask for it.
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 32<<20); err != nil {
		t.Errorf("a socket's buffer cannot be forced: %v", err)
	}
}

// TestOrdinaryUserIsRefused plays the ordinary user in a user namespace, whose
// root is not the machine's.
func TestOrdinaryUserIsRefused(t *testing.T) {
	if !Isolate(t) {
		return
	}
	out, code := runHelper(t, "as root", nil)
	if code != 0 || !strings.Contains(out, "--- SKIP: TestHelper (") || !strings.Contains(out, errOrdinary.Error()) {
		t.Errorf("exit code %d, want a skip with its reason:\n%s", code, out)
	}
	out, code = runHelper(t, "as root", func(c *exec.Cmd) { c.Env = append(c.Env, Require+"=1") })
	if code != 1 || !strings.Contains(out, "--- FAIL: TestHelper (") || !strings.Contains(out, errOrdinary.Error()) {
		t.Errorf("exit code %d, want a failure under %s=1:\n%s", code, Require, out)
	}
}

// TestForgedMarkAsRoot starts processes that only believe to be children. Each
// lacks one of a child's marks, and would reach the machine's own network or
// mounts if it were taken for one.
func TestForgedMarkAsRoot(t *testing.T) {
	if !IsolateAsRoot(t) {
		return
	}
	for _, c := range []struct {
		behaviour string
		flags     uintptr
		inherit   bool
		want      string
	}{
		{"as root", 0, false, "is not the first of its own process namespace"},
		{"as root", withoutUserNamespace, false, "file 3 is not the net namespace that was left"},
		{"as root", unix.CLONE_NEWNS | unix.CLONE_NEWPID, true, "still in the net namespace"},
		{"as root", unix.CLONE_NEWNET | unix.CLONE_NEWPID, true, "still in the mnt namespace"},
		{"as root", unix.CLONE_NEWNET | unix.CLONE_NEWNS, true, "is not the first of its own process namespace"},
		{"as root in use", withoutUserNamespace, true, "lo is up"},
	} {
		out, code := runHelper(t, c.behaviour, func(cmd *exec.Cmd) {
			cmd.Env = append(cmd.Env, markName+"=net:[1] TestHelper")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: c.flags}
			if c.inherit {
				var err error
				if cmd.ExtraFiles, err = openLeft(); err != nil {
					t.Fatal(err)
				}
			}
		})
		if code != 1 || !strings.Contains(out, "cannot isolate TestHelper: ") || !strings.Contains(out, c.want) {
			t.Errorf("%s, flags %#x: exit code %d, want %q in\n%s", c.behaviour, c.flags, code, c.want, out)
		}
	}
}
