// Package killtest kills a program at one of the system calls by which it, or a program that
// it runs, changes something; it must not know which program that is.
package killtest

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Victim says who is killed at a call.
type Victim string

// The victims: the program that was started, or the process that makes the call, which may
// be one that it runs.
const (
	Program Victim = "program"
	Caller  Victim = "caller"
)

// Point is a moment in a run: just before the call of that number, from 1, counted over all
// processes of the run. Point zero never comes.
type Point struct {
	Nth    int
	Victim Victim
}

// Call is a system call that changes something.
type Call struct {
	Name string // as "fsync"
	By   string // the name of the process, as in /proc/PID/comm
	Own  bool   // the program that was started made it, and none that it runs
}

// String names the call and who made it.
func (c Call) String() string { return c.Name + " of " + c.By }

// Run is what was seen of a run.
type Run struct {
	Calls  []Call // in their order, up to the one at which somebody was killed
	Killed bool
	After  []Call // made by others when the program was dead already
	Code   int    // the exit code of the program, -1 if a signal ended it
}

// At returns the call at which somebody was killed.
func (r Run) At() Call {
	if !r.Killed {
		return Call{Name: "the end", By: "all"}
	}
	return r.Calls[len(r.Calls)-1]
}

// Trace runs a program to its end, and that of each program that it runs, and kills the
// victim at a point. A program for which let returns true goes its own way, unseen, from its
// first instruction on; let gets its command line.
//
// The calling goroutine must hold its thread: the kernel lets only the thread that began to
// trace go on with it. It has no other children, so it is not the first thread of process 1,
// which gets the orphans. What the command reads and writes must be files.
func Trace(cmd *exec.Cmd, at Point, let func(args []string) bool) (Run, error) {
	attributes := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attributes = *cmd.SysProcAttr
	}
	attributes.Ptrace = true
	cmd.SysProcAttr = &attributes
	if err := cmd.Start(); err != nil {
		return Run{}, err
	}
	t := tracer{program: cmd.Process.Pid, at: at, let: let, names: numbers(), known: map[int]bool{cmd.Process.Pid: true}}
	if err := errors.Join(t.first(), cmd.Process.Release()); err != nil {
		return t.run, err
	}
	return t.run, t.all()
}

// options have the kernel attach the tracer to each new thread and process before its first
// instruction, tell system calls from signals, and end all of them with the tracer.
const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
	unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL

// first waits for the exec of the program.
func (t *tracer) first() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.program, &status, unix.WALL, nil); err != nil {
		return fmt.Errorf("cannot trace: %w", err)
	}
	if !status.Stopped() {
		return fmt.Errorf("cannot trace: the program ended at once: %v", status)
	}
	if err := unix.PtraceSetOptions(t.program, options); err != nil {
		return fmt.Errorf("cannot trace: %w", err)
	}
	return t.goOn(t.program, 0)
}

// goOn lets a thread run to its next system call, with a signal. One that is dead already is
// no error: somebody was killed.
func (t *tracer) goOn(tid, signal int) error {
	if err := unix.PtraceSyscall(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot let thread %d go on: %w", tid, err)
	}
	return nil
}

// all follows every thread to its end.
func (t *tracer) all() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("cannot wait for a thread: %w", err)
		}
		if err := t.take(tid, status); err != nil {
			return err
		}
	}
}
