// Command benchnet exists to put figures beside natspread's promises about the
// cost of a connection: each layout of rules, and each balancer that is a process,
// is measured in turns with the others, in one run, in network namespaces of its
// own.
//
// It is no test: a missed target is printed, and nothing depends on it. A figure
// whose packets did not all arrive where they had to is an error, not a figure.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"natspread/internal/lab/netns"
	"natspread/internal/lab/plot"
)

// parts are the parts of the benchmark, in order.
func parts() []part {
	return []part{{"first packet", benchFirst}, {"connections", benchConnect}, {"bulk", benchBulk}}
}

// part is one of them.
type part struct {
	name string
	run  func(options, io.Writer) error
}

// main keeps its thread, so that no other goroutine moves the process's first
// one to another namespace: /proc/self would show that namespace from then on.
func main() {
	runtime.LockOSThread()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run measures, or, in the process that it started for that, is the inside, or draws.
func run(args []string, stdout, stderr io.Writer) int {
	opts, err := readOptions(args, stderr)
	if err != nil {
		return 2
	}
	switch {
	case opts.draw != "":
		err = draw(opts.draw, opts.files[0])
	case opts.left == "":
		err = outside(args, stdout, stderr)
	default:
		err = inside(opts.left, opts, stdout)
	}
	if err != nil && !errors.Is(err, errSaid) {
		fmt.Fprintf(stderr, "benchnet: %v\n", err)
	}
	if err != nil {
		return 1
	}
	return 0
}

// draw draws the picture of what a text has that benchnet printed.
func draw(picture, printed string) error {
	text, err := os.ReadFile(printed)
	if err != nil {
		return err
	}
	chart, err := plot.Read(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", printed, err)
	}
	return os.WriteFile(picture, chart.SVG(), 0o644)
}

// partNames lists the parts.
func partNames() string {
	var names []string
	for _, p := range parts() {
		names = append(names, fmt.Sprintf("%q", p.name))
	}
	return strings.Join(names, ", ")
}

// errSaid only decides the exit code.
var errSaid = errors.New("the inside said what is wrong")

// outside measures in a process with namespaces of its own, which all end with
// it, however it ends.
func outside(args []string, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cmd, err := netns.Isolated(ctx, netns.Machine, append([]string{"-inside", "LEFT"}, args...)...)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot make namespaces: %w: run as root", err)
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return errors.New("interrupted; nothing is left behind")
	}
	if err != nil && cmd.ProcessState.Exited() {
		return errSaid
	}
	return err
}

// inside measures all parts that were asked for.
func inside(left string, opts options, out io.Writer) error {
	if err := netns.Settle(left, netns.Machine); err != nil {
		return err
	}
	_ = os.WriteFile("/proc/self/autogroup", []byte("-20"), 0) // ahead of other sessions, if the kernel groups them
	describe(out)
	if len(opts.files) > 0 {
		return benchRules(opts, out)
	}
	for _, p := range parts() {
		if opts.only != "" && opts.only != p.name {
			continue
		}
		if err := p.run(opts, out); err != nil {
			return fmt.Errorf("cannot measure %s: %w", p.name, err)
		}
	}
	return nil
}
