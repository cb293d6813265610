package netnstest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Require is the environment variable that, set to 1, turns a refusal of
	// namespaces and a missing iptables variant from a skip into a failure.
	Require = "REQUIRE_NETNS"

	// markName is the environment variable that tells the re-executed binary
	// which network namespace it left and for which test it was started.
	markName = "NETNSTEST_CHILD"

	// patience bounds a child when the test binary runs without -timeout.
	patience = 2 * time.Minute

	// afterLimit is how long the parent waits past the child's own -test.timeout,
	// so that the child can print its goroutines first.
	afterLimit = 2 * time.Second
)

// Isolate runs the calling test in user, network, mount and process namespaces
// of its own. In the parent it marks the test parallel, re-executes the test
// binary for exactly this test, hands on the result and returns false: the
// caller returns at once. In that child, which is root in its namespaces, it
// returns true.
//
// Call it once, first, in the test or the innermost subtest that needs it; code
// of the enclosing tests runs in both processes. The child is process 1 of its
// process namespace, so whatever it starts ends with it.
func Isolate(t *testing.T) bool {
	t.Helper()
	return isolate(t, withUserNamespace, checkIsolated)
}

// IsIsolated tells whether this process is a child of Isolate's, in namespaces of its own.
func IsIsolated() bool { return os.Getenv(markName) != "" }

// The namespaces of a child: its own user namespace makes anyone root in it.
const (
	withoutUserNamespace = unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID
	withUserNamespace    = withoutUserNamespace | unix.CLONE_NEWUSER
)

// isolate is what the ways to isolate a test share: they differ in the child's
// namespaces, and in how the child makes sure that it has them.
func isolate(t *testing.T, namespaces uintptr, check func(left string) error) bool {
	t.Helper()
	if mark := os.Getenv(markName); mark != "" {
		enter(t, mark, check)
		return true
	}
	t.Parallel()
	isolateInChild(t, namespaces)
	return false
}

// isolateInChild runs the child and gives its result to t. The goroutine keeps
// its thread, because the kernel sends a parent-death signal when the thread
// that started the child ends.
func isolateInChild(t *testing.T, namespaces uintptr) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	limit := timeLimit(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit+afterLimit)
	defer cancel()
	cmd, err := childCommand(ctx, t, limit, namespaces)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		// ENOSPC and EUSERS are the limits user.max_*_namespaces, EINVAL and
		// ENOSYS a kernel built without them.
		refuse(t, fmt.Errorf("cannot start a process in new namespaces: %w", err),
			unix.EPERM, unix.EACCES, unix.ENOSPC, unix.EUSERS, unix.EINVAL, unix.ENOSYS)
	}
	err = cmd.Wait()
	for _, file := range cmd.ExtraFiles {
		file.Close()
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("killed after %v: %w", limit+afterLimit, err)
	}
	relay(t, parseOutput(t.Name(), out.String()), err)
}

// timeLimit keeps a tenth of the time left, so that a hanging child is reported
// as this test's failure and not as a panic of the whole binary.
func timeLimit(t *testing.T) time.Duration {
	deadline, ok := t.Deadline()
	if !ok {
		return patience
	}
	return max(time.Until(deadline)*9/10-afterLimit, time.Second)
}

// childCommand is this test binary once more, in namespaces of its own.
func childCommand(ctx context.Context, t *testing.T, limit time.Duration, namespaces uintptr) (*exec.Cmd, error) {
	netns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("cannot tell the network namespace: %w", err)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", childArgs(t.Name(), limit)...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), markName+"="+netns+" "+t.Name(), "TMPDIR="+t.TempDir())
	cmd.WaitDelay = afterLimit
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces,
		Setpgid:    true,
		Pdeathsig:  unix.SIGKILL,
	}
	if namespaces&unix.CLONE_NEWUSER == 0 {
		cmd.ExtraFiles, err = openLeft()
		return cmd, err
	}
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	return cmd, nil
}

// childArgs names one test, and passes on the flags that aren't the testing
// package's own (-update and the like). Profiles and logs stay the parent's:
// the child would truncate them.
func childArgs(name string, limit time.Duration) []string {
	args := []string{
		"-test.run=" + anchored(name),
		"-test.v=test2json", // marks each result line with a byte that no text has
		"-test.count=1",
		"-test.paniconexit0",
		"-test.timeout=" + limit.String(),
	}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") || f.Name == "test.short" {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	return append(args, flag.Args()...)
}

// anchored is the -test.run pattern that matches one (sub)test and no other;
// the testing package matches the elements between slashes one by one.
func anchored(name string) string {
	elements := strings.Split(name, "/")
	for i, e := range elements {
		elements[i] = "^" + regexp.QuoteMeta(e) + "$"
	}
	return strings.Join(elements, "/")
}

// refuse ends a test that the machine gives no namespaces to: a skip when the
// cause is one of those named, or a failure where namespaces are required.
func refuse(t *testing.T, err error, refusals ...error) {
	t.Helper()
	for _, refusal := range refusals {
		if errors.Is(err, refusal) && os.Getenv(Require) != "1" {
			t.Skip(err)
		}
	}
	t.Fatal(err)
}
