package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/health"
)

// processes is where the processes of this namespace are shown: /proc has the machine's.
const processes = "/run/processes"

// clockTicks is the unit of processor times in /proc (USER_HZ), on every architecture.
const clockTicks = 100

// window is how long each process is measured, in turns with the other.
const window = 15 * time.Second

// spent is what a process has used.
type spent struct {
	processor time.Duration // by all of its threads
	resident  int64         // now, in bytes
}

// spentBy reads that of a process.
func spentBy(pid int) (spent, error) {
	stat, err := os.ReadFile(fmt.Sprintf("%s/%d/stat", processes, pid))
	if err != nil {
		return spent{}, err
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name before it may have any character
	fields := strings.Fields(string(rest))
	if len(fields) < 22 {
		return spent{}, fmt.Errorf("cannot read %q", stat)
	}
	user, err := strconv.Atoi(fields[11]) // utime, stime and rss of proc_pid_stat(5)
	system, errSystem := strconv.Atoi(fields[12])
	pages, errPages := strconv.ParseInt(fields[21], 10, 64)
	return spent{time.Duration(user+system) * time.Second / clockTicks, pages * int64(os.Getpagesize())}, errors.Join(err, errSystem, errPages)
}

// measured is what checks cost in a window.
type measured struct {
	checks    float64 // in a second
	share     float64 // of one processor
	perCheck  time.Duration
	bare      time.Duration // of the bare loop, for each check
	megabytes float64
}

// playCost measures the watcher with more and more backends, each beside a bare loop that
// connects as often.
func playCost(s *stage) (string, error) {
	err := errors.Join(os.Mkdir(processes, 0o755), unix.Mount("proc", processes, "proc", 0, ""))
	if err != nil {
		return "", err
	}
	var said strings.Builder
	var all []measured
	for _, size := range []struct {
		services int
		interval time.Duration
	}{{10, 2 * time.Second}, {1000, 2 * time.Second}, {10_000, 15 * time.Second}} {
		m, err := s.measure(size.services, size.interval)
		if err != nil {
			return said.String(), err
		}
		all = append(all, m)
		fmt.Fprintf(&said, "\n  %d backends every %v: %.0f checks a second, %.1f %% of a processor, %v a check, a bare loop %v: %.2f x; %.0f MB",
			3*size.services, size.interval, m.checks, 100*m.share, m.perCheck.Round(time.Microsecond), m.bare.Round(time.Microsecond),
			float64(m.perCheck)/float64(m.bare), m.megabytes)
	}
	fmt.Fprintf(&said, "\n  memory with 3,000 beside 30: %.1f x", all[1].megabytes/all[0].megabytes)
	switch {
	case all[1].perCheck > 2*all[1].bare:
		return said.String(), errors.New("a check costs more than twice what a bare loop does")
	case all[1].megabytes > 4*all[0].megabytes:
		return said.String(), errors.New("100 times the backends take more than 4 times the memory")
	}
	return said.String(), nil
}

// measure measures so many services of three backends.
func (s *stage) measure(services int, every time.Duration) (m measured, err error) {
	err = s.openMany(services, fmt.Sprintf("check = { type = \"tcp\", interval = %q }", every))
	if err == nil {
		err = s.watch()
	}
	if err != nil {
		return m, err
	}
	before, err := s.record()
	if err != nil {
		return m, err
	}
	used, resident, err := during(s.watcher.cmd.Process.Pid)
	if err != nil {
		return m, err
	}
	if err := s.unwatch(); err != nil { // at its end it writes what it has counted
		return m, err
	}
	after, err := s.record()
	if err != nil {
		return m, err
	}
	m.checks = float64(answers(after)-answers(before)) / (after.Beat - before.Beat).Seconds()
	m.share, m.megabytes = used.Seconds()/window.Seconds(), float64(resident)/1e6
	m.perCheck = time.Duration(m.share / m.checks * float64(time.Second))
	bare := exec.Command("/proc/self/exe", "epoll", strconv.Itoa(s.family), strconv.Itoa(3*services), fmt.Sprintf("%.0f", m.checks))
	stdin, err := bare.StdinPipe()
	if err != nil {
		return m, err
	}
	if err := bare.Start(); err != nil {
		return m, err
	}
	used, _, err = during(bare.Process.Pid)
	m.bare = time.Duration(used.Seconds() / window.Seconds() / m.checks * float64(time.Second))
	return m, errors.Join(err, stdin.Close(), bare.Wait())
}

// during returns the processor time that a process uses in the window, and its memory then.
func during(pid int) (used time.Duration, resident int64, err error) {
	before, err := spentBy(pid)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(window)
	after, err := spentBy(pid)
	return after.processor - before.processor, after.resident, err
}

// answers counts all checks that are over.
func answers(record health.Record) (all uint64) {
	for _, check := range record.Checks {
		all += check.OK + check.Failed + check.Unable
	}
	return all
}
