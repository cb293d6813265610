package netnstest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// errOrdinary says that a test needs the machine's own root.
var errOrdinary = errors.New("it takes the machine's own root with CAP_SYS_ADMIN")

// IsolateAsRoot is Isolate for the few tests that need the machine's own root:
// the child has network, mount and process namespaces of its own, but no user
// namespace. There alone may a socket's buffer be forced beyond wmem_max, which
// nft needs to send more than some 200 KB of rules in one message ("Message too
// long"), and there alone can a file belong to another user. An ordinary user
// gets a skip with the reason, or a failure where namespaces are required.
func IsolateAsRoot(t *testing.T) bool {
	t.Helper()
	if os.Getenv(markName) == "" {
		if err := checkRoot(); err != nil {
			refuse(t, fmt.Errorf("cannot isolate %s: %w", t.Name(), err), errOrdinary)
		}
	}
	return isolate(t, withoutUserNamespace, checkIsolatedAsRoot)
}

// checkRoot fails unless this process is root outside of any user namespace. A
// container's root may lack the capability, and a rootless one's is not the
// machine's.
func checkRoot() error {
	own, err := ownUser()
	if err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	if os.Getuid() != 0 || own != firstUserNamespace || data[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return errOrdinary
	}
	return nil
}

// leftKinds are the namespaces that a child without a user namespace has to
// have left. It inherits those of its parent as open files, in this order.
var leftKinds = []struct {
	name string
	flag int
}{{"net", unix.CLONE_NEWNET}, {"mnt", unix.CLONE_NEWNS}}

// firstInherited is the number that exec gives to the first of ExtraFiles.
const firstInherited = 3

// openLeft opens the namespaces that the child is to leave.
func openLeft() ([]*os.File, error) {
	var left []*os.File
	for _, kind := range leftKinds {
		file, err := os.Open("/proc/self/ns/" + kind.name)
		if err != nil {
			return left, fmt.Errorf("cannot tell the namespaces: %w", err)
		}
		left = append(left, file)
	}
	return left, nil
}

// checkIsolatedAsRoot is checkIsolated without a user namespace to tell by, and
// with more to lose, since nothing else stops the machine's root. It fails unless
// this process is the first of a process namespace newer than /proc, inherited
// the namespaces that it left and is in others, and none of its interfaces was
// ever set up: the state in which isolate leaves a child, and no other.
func checkIsolatedAsRoot(left string) error {
	now, err := leftNetwork(left)
	if err != nil {
		return err
	}
	if self, err := os.Readlink("/proc/self"); err != nil || os.Getpid() != 1 || self == "1" {
		return fmt.Errorf("process %d (%s in /proc, %v) is not the first of its own process namespace", os.Getpid(), self, err)
	}
	for i, kind := range leftKinds {
		if err := checkLeft(firstInherited+i, kind.name, kind.flag); err != nil {
			return err
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("cannot list the interfaces: %w", err)
	}
	for _, link := range links {
		if link.Flags&net.FlagUp != 0 {
			return fmt.Errorf("the network namespace %s is in use: %s is up", now, link.Name)
		}
	}
	return nil
}

// checkLeft fails unless an inherited file is a namespace of that kind and not
// the one that this process is in. It closes the file.
func checkLeft(fd int, name string, flag int) error {
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != flag {
		return fmt.Errorf("file %d is not the %s namespace that was left: %v", fd, name, err)
	}
	own, err := os.Open("/proc/self/ns/" + name)
	if err != nil {
		return fmt.Errorf("cannot tell the %s namespace: %w", name, err)
	}
	defer own.Close()
	leftInode, err := inode(fd)
	ownInode, ownErr := inode(int(own.Fd()))
	if err := errors.Join(err, ownErr); err != nil {
		return err
	}
	if leftInode == ownInode {
		return fmt.Errorf("still in the %s namespace it came from", name)
	}
	return nil
}
