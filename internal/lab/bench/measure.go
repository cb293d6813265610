package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bench is one run.
type bench struct {
	program string // absolute path of natspread
	dir     string // where configs and roots are
	rounds  int
	out     io.Writer
}

// sample is one run of one command.
type sample struct {
	wall time.Duration
	cpu  time.Duration // the processor's time, of the programs that it ran, too
	peak int64         // largest resident set, in bytes
}

// command is what is measured.
type command struct {
	stdin   []byte
	args    []string
	prepare []command // run before the clock starts, in the same namespace
}

// pause lets the kernel take away the namespace of the run before, which it does in
// the background, and would otherwise do at the expense of the next run.
const pause = 100 * time.Millisecond

// timed runs a command once, in a network namespace that nothing ran in before,
// made before the clock starts. Its thread, and so the namespace, ends with it.
func timed(c command) (sample, error) {
	var result sample
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and no unlock
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("cannot make a network namespace: %w: run as root", err)
			return
		}
		for _, first := range c.prepare {
			if _, err := first.run(); err != nil {
				done <- err
				return
			}
		}
		runtime.GC() // not while the clock runs
		time.Sleep(pause)
		var err error
		result, err = c.run()
		done <- err
	}()
	return result, <-done
}

// run runs a command in the namespaces of the thread.
func (c command) run() (result sample, err error) {
	var said bytes.Buffer
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(c.stdin), &said
	begin := time.Now()
	err = cmd.Run()
	result.wall = time.Since(begin)
	if err != nil {
		return result, fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, said.String())
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		result.peak = usage.Maxrss << 10
		result.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return result, nil
}

// inTurns runs two commands alternately and returns the median of each.
func (b bench) inTurns(rounds int, first, second command) (a, z sample, err error) {
	var as, zs []sample
	for i := -1; i < rounds; i++ { // the first turn warms the caches
		a, errA := timed(first)
		z, errZ := timed(second)
		if err := errors.Join(errA, errZ); err != nil {
			return sample{}, sample{}, err
		}
		if i >= 0 {
			as, zs = append(as, a), append(zs, z)
		}
	}
	return median(as), median(zs), nil
}

// median returns the sample in the middle by time, with the processor's time in the middle.
func median(samples []sample) sample {
	slices.SortFunc(samples, func(a, b sample) int { return int(a.cpu - b.cpu) })
	cpu := samples[len(samples)/2].cpu
	slices.SortFunc(samples, func(a, b sample) int { return int(a.wall - b.wall) })
	middle := samples[len(samples)/2]
	middle.cpu = cpu
	return middle
}

// natspread returns a natspread command with a root of its own.
func (b bench) natspread(args ...string) command {
	return command{args: append([]string{b.program, "--root", b.root(), "--live"}, args...)}
}

// root returns the directory that stands for / on disk.
func (b bench) root() string { return filepath.Join(b.dir, "root") }

// line prints one figure with its target.
func (b bench) line(what, figure, target string, met bool) {
	verdict := "met"
	if !met {
		verdict = "MISSED"
	}
	fmt.Fprintf(b.out, "%-66s %-46s target %-10s %s\n", what, figure, target, verdict)
}

// milliseconds prints a duration.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

// megabytes prints a size.
func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// write writes a file of the run and returns its path.
func (b bench) write(name, text string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// services returns a config of n services with three backends each.
func services(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[[service]]\nname = \"s%d\"\nlisten = \"198.18.%d.%d:80\"\nbackends = [", i, i/250, i%250+1)
		for k := range 3 {
			fmt.Fprintf(&text, "\"10.%d.%d.%d:80\", ", k, i/250, i%250+1)
		}
		text.WriteString("]\n\n")
	}
	return text.String()
}
