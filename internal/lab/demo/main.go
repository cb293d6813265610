// Command demo exists so that anyone can watch the program at work, for a quarter of a
// minute or for a thousand applies: it plays clients, balancers and backends in network
// namespaces of its own and types at them what a person would type; it must not know how
// the real program works, only what its config says.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"natspread/internal/lab/netns"
)

// The exit codes.
const (
	exitFair        = 0
	exitFailed      = 1 // a step did not do what it says
	exitUsage       = 2
	exitInterrupted = 130 // what a shell makes of Ctrl-C
)

// main keeps its thread, so that no other goroutine moves the process's first
// one to another namespace: /proc/self would show that namespace from then on.
func main() {
	runtime.LockOSThread()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run plays the demo, or, in the process that it started for that, the inside.
func run(args []string, stdout *os.File, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: demo [-n CONNECTIONS] [-acts ACTS] [-variant V] PROGRAM\n       demo -applies N [-variant V] PROGRAM")
		flags.PrintDefaults()
	}
	connections := flags.Int("n", 3000, "how many connections the table of shares counts")
	acts := flags.String("acts", "3456", "which acts follow on the first two")
	applies := flags.Int("applies", 0, "instead apply so many times while connections are made")
	variant := flags.String("variant", "", "of iptables: nft or legacy; the host's own without it")
	left := flags.String("inside", "", "set by the demo itself: the network namespace that it left")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() != 1 || *connections < 100 {
		flags.Usage()
		return exitUsage
	}
	program, err := filepath.Abs(flags.Arg(0))
	if err == nil && *left != "" {
		err = inside(*left, story{screen: newScreen(stdout), program: program, variant: *variant, connections: *connections, acts: *acts}, *applies)
	} else if err == nil {
		err = outside(program, stdout, stderr, "-n", fmt.Sprint(*connections), "-acts", *acts, "-applies", fmt.Sprint(*applies), "-variant", *variant)
	}
	return exitCode(err, stderr)
}

// outside plays the demo in a process with namespaces of its own, which all end
// with it, however it ends.
func outside(program string, stdout, stderr io.Writer, args ...string) error {
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("cannot run natspread: %w: run make build", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cmd, err := netns.Isolated(ctx, netns.Own, append(args, "-inside", "LEFT", program)...)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot make namespaces: %w: it takes root or user namespaces (sysctl user.max_user_namespaces), and no chroot", err)
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return errInterrupted
	}
	if cmd.ProcessState.Exited() && err != nil {
		return errSaid
	}
	return err
}

// Errors that only decide the exit code.
var (
	errInterrupted = errors.New("interrupted; nothing is left behind")
	errSaid        = errors.New("the inside said what is wrong")
)

// exitCode says what is wrong and returns the code for it.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitFair
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintf(stderr, "demo: %v\n", err)
	}
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	return exitFailed
}
