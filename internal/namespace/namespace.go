// Package namespace says in which network namespace a process is, and whether that and its
// root directory are those of PID 1: what systemd starts, and the machine's own kernel
// state, are there.
package namespace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ID names the network namespace of the calling thread for records below a directory: by its
// cookie, which no other namespace of the same boot ever has (SO_NETNS_COOKIE; the inodes of
// nsfs are given again), and by the boot. What is on a tmpfs is of this boot in any case.
// There the boot's own id is left out, as not every process sees the same one: containers are
// shown another, and units with a /proc of their own the kernel's.
func ID(dir string) (string, error) {
	boot, err := bootOf(dir)
	if err != nil {
		return "", err
	}
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return "", err
	}
	defer unix.Close(socket)
	cookie, err := unix.GetsockoptUint64(socket, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return fmt.Sprintf("%s %d", boot, cookie), err
}

// SameCookie tells whether two ids, neither of them "", have the same cookie, whatever boot
// they name.
func SameCookie(a, b string) bool { return cookieOf(a) == cookieOf(b) }

// cookieOf returns the cookie of an id.
func cookieOf(id string) string { return id[strings.LastIndexByte(id, ' ')+1:] }

// SameBoot tells whether two ids, neither of them "", name the same boot.
func SameBoot(a, b string) bool {
	return strings.TrimSuffix(a, cookieOf(a)) == strings.TrimSuffix(b, cookieOf(b))
}

// bootOf names the boot that files below a directory, which may not be there yet, are of.
func bootOf(dir string) (string, error) {
	var system unix.Statfs_t
	err := unix.Statfs(dir, &system)
	for errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &system)
	}
	switch {
	case err != nil:
		return "", err
	case system.Type == unix.TMPFS_MAGIC:
		return "tmpfs", nil
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(boot)), err
}

// Place is where a process is, as far as it may know.
type Place string

// The places. Unknown is where PID 1 may not be looked at, as in a unit's sandbox.
const (
	Inits   Place = "that of PID 1"
	Another Place = "another than PID 1's"
	Unknown Place = "unknown"
)

// Network tells whether the calling thread is in the network namespace of PID 1.
func Network() Place { return compare("/proc/1/ns/net", "/proc/thread-self/ns/net") }

// Root tells whether this process has the root directory of PID 1: in a chroot it has not.
func Root() Place { return compare("/proc/1/root/", "/") }

// Chrooted tells whether this process is in a chroot: its root directory is not that of PID 1,
// or there is no /proc, which a running system always has. Where the root of PID 1 cannot be
// seen, as in a container that builds an image, it is in a chroot if no file system is mounted at
// its root. So a chroot into a mount point is not noticed there.
func Chrooted() bool {
	if _, err := os.Lstat("/proc/self"); errors.Is(err, unix.ENOENT) {
		return true
	}
	place := Root()
	return place == Another || place == Unknown && !mountedAtRoot()
}

// mountedAtRoot tells whether a file system is mounted at the root; where mounts cannot be read,
// one is taken to be.
func mountedAtRoot() bool {
	mounts, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(mounts)) {
		if words := strings.Fields(line); len(words) > 4 && words[4] == "/" {
			return true
		}
	}
	return false
}

// compare tells whether two paths lead to the same file.
func compare(inits, own string) Place {
	a, err := os.Stat(inits)
	if err != nil {
		return Unknown
	}
	b, err := os.Stat(own)
	switch {
	case err != nil:
		return Unknown
	case os.SameFile(a, b):
		return Inits
	}
	return Another
}
