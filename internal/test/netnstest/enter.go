package netnstest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/nethost"
	"natspread/internal/test/testsize"
)

const (
	// hostsDir is where iproute2 looks for named network namespaces.
	hostsDir = "/run/netns"

	// lockFile is where legacy iptables takes its lock; the default under /run
	// is meant, but a build may have chosen /var/lock, which isn't ours.
	lockFile = "/run/xtables.lock"

	// sbin is appended to PATH: Debian gives it to no ordinary user.
	sbin = "/usr/local/sbin:/usr/sbin:/sbin"

	// firstUserNamespace is the inode number every kernel gives the machine's
	// own user namespace (PROC_USER_INIT_INO).
	firstUserNamespace = 0xEFFFFFFD

	// entered replaces the mark once the namespaces are ready.
	entered = "entered"
)

// enter makes the child's namespaces usable, after it has made sure that they
// are the child's own.
func enter(t *testing.T, mark string, check func(left string) error) {
	t.Helper()
	left, name, _ := strings.Cut(mark, " ")
	if left == entered || name != t.Name() {
		t.Fatalf("cannot isolate %s: already in the namespaces of %s (call Isolate once, in the innermost test)", t.Name(), name)
	}
	if err := check(left); err != nil {
		t.Fatalf("cannot isolate %s: %v", t.Name(), err)
	}
	if err := errors.Join(mountPrivate(), mountTemporary(os.TempDir()), nethost.Settle()); err != nil {
		// A security module may let the clone pass and refuse what root does in
		// it; EROFS is a container's read-only /proc/sys.
		refuse(t, fmt.Errorf("cannot set up the new namespaces: %w", err), unix.EPERM, unix.EACCES, unix.EROFS)
	}
	err := errors.Join(
		os.Setenv(markName, entered+" "+name),
		os.Setenv("XTABLES_LOCKFILE", lockFile),
		os.Setenv("PATH", os.Getenv("PATH")+":"+sbin),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// checkIsolated fails unless the network namespace is neither the machine's nor
// the one left, and belongs to a user namespace of this process that isn't the
// machine's: an environment variable alone must not unlock anything.
func checkIsolated(left string) error {
	now, err := leftNetwork(left)
	if err != nil {
		return err
	}
	own, err := ownUser()
	if err != nil {
		return err
	}
	owner, err := networkOwner()
	if err != nil {
		return fmt.Errorf("cannot tell who owns the network namespace: %w", err)
	}
	if own == firstUserNamespace || owner != own {
		return fmt.Errorf("the network namespace %s is not its own", now)
	}
	return nil
}

// leftNetwork names the network namespace, and fails if it is the one left.
func leftNetwork(left string) (now string, err error) {
	now, err = os.Readlink("/proc/self/ns/net")
	if err != nil {
		return "", fmt.Errorf("cannot tell the network namespace: %w", err)
	}
	if now == left {
		return "", fmt.Errorf("still in the network namespace it came from, %s", left)
	}
	return now, nil
}

// ownUser is the inode of this process's user namespace.
func ownUser() (uint64, error) {
	user, err := os.Open("/proc/self/ns/user")
	if err != nil {
		return 0, fmt.Errorf("cannot tell the user namespace: %w", err)
	}
	defer user.Close()
	own, err := inode(int(user.Fd()))
	if err != nil {
		return 0, fmt.Errorf("cannot tell the user namespace: %w", err)
	}
	return own, nil
}

// networkOwner is the inode of the user namespace that owns the network one.
func networkOwner() (uint64, error) {
	network, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return 0, err
	}
	defer network.Close()
	fd, err := unix.IoctlRetInt(int(network.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return 0, os.NewSyscallError("ioctl NS_GET_USERNS", err)
	}
	defer unix.Close(fd)
	return inode(fd)
}

// inode identifies a namespace by its open file.
func inode(fd int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return st.Ino, nil
}

// mountTemporary has the test keep its own files in memory, so that none waits for a disk; but
// where tests take their largest cases it is the disk that they are for.
func mountTemporary(dir string) error {
	if testsize.Whole() {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if err := unix.Mount("netnstest", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=%o", info.Mode().Perm())); err != nil {
		return &fs.PathError{Op: "mount tmpfs on", Path: dir, Err: err}
	}
	return nil
}

// mountPrivate hides /run, and with it every daemon's socket, behind an empty
// one. A /proc that shows the new process namespace is refused in a container
// that hides parts of it; the old one serves as well but shows other numbers.
func mountPrivate() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return &fs.PathError{Op: "make private", Path: "/", Err: err}
	}
	if err := unix.Mount("netnstest", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return &fs.PathError{Op: "mount tmpfs on", Path: "/run", Err: err}
	}
	err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err != nil && !errors.Is(err, unix.EPERM) {
		return &fs.PathError{Op: "mount proc on", Path: "/proc", Err: err}
	}
	return os.Mkdir(hostsDir, 0o755)
}
