package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolated is this program once more, as process 1 of network, mount and process
// namespaces of its own. It stays the machine's root: in a user namespace nft may
// not send the many rules that it loads in one message. In a session of its own a
// Ctrl-C reaches it through its context only, and the scheduler counts it as a group
// of its own (autogroup of sched(7)). It is killed with the thread that starts it.
func isolated(ctx context.Context, args []string) (*exec.Cmd, error) {
	left, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("cannot tell the network namespace: %w", err)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"-inside", left}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Setsid:     true,
		Pdeathsig:  unix.SIGKILL,
	}
	return cmd, nil
}

// settle makes the new namespaces usable, after it has made sure that they are
// new: nothing that was typed may let it loose on the machine's own. An empty
// /run of their own hides every daemon's socket, and takes whatever is written.
func settle(left string) error {
	network, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("cannot tell the network namespace: %w", err)
	}
	if network == left || os.Getpid() != 1 {
		return errors.New("cannot measure here: these are not namespaces of its own")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return &fs.PathError{Op: "make private", Path: "/", Err: err}
	}
	if err := unix.Mount("benchnet", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return &fs.PathError{Op: "mount tmpfs on", Path: "/run", Err: err}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return &fs.PathError{Op: "mount proc on", Path: "/proc", Err: err}
	}
	_ = os.WriteFile("/proc/self/autogroup", []byte("-20"), 0) // ahead of other sessions, if the kernel groups them
	return errors.Join(
		os.Setenv("XTABLES_LOCKFILE", "/run/xtables.lock"),
		os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"), // Debian gives these to no ordinary user
	)
}

// within runs a function on a thread in a network namespace that ip(8) made. The
// thread is never unlocked, so it ends with the function and moves nobody else.
func within(namespace string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // the first thread cannot end
			defer runtime.UnlockOSThread()
			done <- within(namespace, do)
			return
		}
		if err := enter("/run/netns/" + namespace); err != nil {
			done <- fmt.Errorf("cannot enter the namespace of %s: %w", namespace, err)
			return
		}
		done <- do()
	}()
	return <-done
}

// enter moves the calling thread.
func enter(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return os.NewSyscallError("setns", unix.Setns(int(file.Fd()), unix.CLONE_NEWNET))
}

// pipe runs a program with that standard input.
func pipe(stdin []byte, name string, args ...string) error {
	var stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot run %s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
