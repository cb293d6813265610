// Package netns exists so that a program can play in network namespaces of its own,
// which end with it, however it ends; it must not know what is played.
package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"natspread/internal/nethost"
)

// Root says whose root a program is in its own namespaces.
type Root uintptr

const (
	// Machine leaves it the machine's: in a user namespace nft may not send many
	// rules in one message ("Message too long"). It takes root to begin with.
	Machine Root = 0

	// Own gives it a user namespace too, which takes no rights.
	Own Root = unix.CLONE_NEWUSER
)

// firstUser is the user namespace of every machine itself (PROC_USER_INIT_INO).
const firstUser = "user:[4026531837]"

// Isolated is this program once more, as process 1 of network, mount and process
// namespaces of its own; an argument LEFT is replaced by the network namespace that
// it leaves. In a session of its own a Ctrl-C reaches it through its context only,
// and the scheduler takes it for a group of its own (autogroup of sched(7)). It is
// killed with the thread that starts it.
func Isolated(ctx context.Context, root Root, args ...string) (*exec.Cmd, error) {
	left, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("cannot tell the network namespace: %w", err)
	}
	for i := range args {
		if args[i] == "LEFT" {
			args[i] = left
		}
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: uintptr(root) | unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Setsid:     true,
		Pdeathsig:  unix.SIGKILL,
	}
	if root == Own {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd, nil
}

// Settle makes the new namespaces usable, after it has made sure that they are new:
// nothing that was typed may let it loose on the machine's own. An empty /run of
// their own hides every daemon's socket, and takes whatever is written.
func Settle(left string, root Root) error {
	network, err := os.Readlink("/proc/self/ns/net")
	user, errUser := os.Readlink("/proc/self/ns/user")
	if err := errors.Join(err, errUser); err != nil {
		return fmt.Errorf("cannot tell the namespaces: %w", err)
	}
	if network == left || root == Own && user == firstUser || os.Getpid() != 1 {
		return errors.New("cannot play here: these are not namespaces of its own")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return &fs.PathError{Op: "make private", Path: "/", Err: err}
	}
	if err := unix.Mount("netns", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return &fs.PathError{Op: "mount tmpfs on", Path: "/run", Err: err}
	}
	return errors.Join(
		os.Setenv("XTABLES_LOCKFILE", "/run/xtables.lock"),
		os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"), // Debian gives these to no ordinary user
	)
}

// Within runs a function on a thread in a network namespace that ip(8) made. The
// thread ends with the function and moves nobody else.
func Within(namespace string, do func() error) error {
	return nethost.At("/run/netns/" + namespace).Do(do)
}

// Pipe runs a program with that standard input and returns its standard output.
func Pipe(stdin, name string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot run %s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(stdout), nil
}
