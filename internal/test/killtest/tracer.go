package killtest

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tracer follows the threads of one run.
type tracer struct {
	program int // the process
	at      Point
	let     func(args []string) bool
	names   map[uint64]string // of the calls that change something
	known   map[int]bool      // the threads that have stopped once
	run     Run
	dead    bool // the program is
	held    int  // the thread that waits in front of its call for the death of the program
}

// take takes what the kernel says of a thread.
func (t *tracer) take(tid int, status unix.WaitStatus) error {
	switch {
	case status.Exited(), status.Signaled():
		return t.ended(tid, status)
	case !status.Stopped():
		return nil
	}
	signal, known := status.StopSignal(), t.known[tid]
	t.known[tid] = true
	goes := signal == unix.SIGTRAP && status.TrapCause() == unix.PTRACE_EVENT_EXEC && t.let(commandLine(tid))
	if tid == t.held && !goes { // it has made its call after all
		t.held = 0
		t.run.After = append(t.run.After, t.run.At())
	}
	switch {
	case goes:
		return unix.PtraceDetach(tid)
	case signal == unix.SIGSTOP && !known: // so begins each that the kernel attached the tracer to
		return t.goOn(tid, 0)
	case signal == unix.SIGTRAP|0x80:
		return t.call(tid)
	case signal == unix.SIGTRAP:
		return t.goOn(tid, 0)
	}
	return t.goOn(tid, int(signal))
}

// ended takes the end of a thread, or of a process. With the program ends what holds back
// the one who was about to make the call: either the kernel has killed it by now, or nobody
// ever will.
func (t *tracer) ended(tid int, status unix.WaitStatus) error {
	if tid != t.program {
		return nil
	}
	t.dead, t.run.Code = true, status.ExitStatus()
	if t.held == 0 {
		return nil
	}
	return t.goOn(t.held, 0)
}

// call takes the beginning or the end of a system call, and kills at the beginning of the
// one that it is to: the kernel makes no call of a process that is killed there.
func (t *tracer) call(tid int) error {
	name := t.changing(tid)
	if name == "" || t.run.Killed && !t.dead {
		return t.goOn(tid, 0)
	}
	process := processOf(tid)
	call := Call{Name: name, By: nameOf(process), Own: process == t.program}
	if t.dead {
		t.run.After = append(t.run.After, call)
		return t.goOn(tid, 0)
	}
	t.run.Calls = append(t.run.Calls, call)
	if len(t.run.Calls) != t.at.Nth {
		return t.goOn(tid, 0)
	}
	t.run.Killed = true
	if t.at.Victim == Caller || call.Own {
		return t.kill(process)
	}
	t.held = tid
	return t.kill(t.program)
}

// kill kills a process.
func (t *tracer) kill(process int) error {
	if err := unix.Kill(process, unix.SIGKILL); err != nil {
		return fmt.Errorf("cannot kill %d: %w", process, err)
	}
	return nil
}

// processOf returns the process of a thread.
func processOf(tid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid)) // it is stopped, and so there
	_, rest, _ := strings.Cut(string(status), "\nTgid:\t")
	line, _, _ := strings.Cut(rest, "\n")
	process, err := strconv.Atoi(line)
	if err != nil {
		return tid
	}
	return process
}

// nameOf returns the name of a process.
func nameOf(process int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", process))
	return strings.TrimSpace(string(name))
}

// commandLine returns what a process was started with.
func commandLine(process int) []string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", process))
	return slices.DeleteFunc(strings.Split(string(line), "\x00"), func(arg string) bool { return arg == "" })
}
