// Command kill exists to kill natspread at every system call by which it changes something,
// and to judge what each kill leaves; it must not know how natspread does its work, only
// what it promises.
//
// Each kill is on a host of its own: a network namespace and a root directory. It plays in
// mount and process namespaces that .ci/kill-test makes for it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"time"
)

// The exit codes.
const (
	exitPlayed = 0
	exitFailed = 1 // a state was not good, and a line names it
	exitUsage  = 2
)

// options are the flags.
type options struct {
	program string // natspread
	dir     string
	seed    uint64
	budget  time.Duration // 0 is as long as every point takes
	only    string        // begins the name of each point that is played
	calls   string        // a regular expression that each call matches that is played
	workers int
}

// main plays as its arguments say.
func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run plays with the program named in the arguments.
func run(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("kill", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dir, "dir", "", "an empty directory to work in")
	flags.Uint64Var(&o.seed, "seed", rand.Uint64(), "draws the points of a sample")
	flags.DurationVar(&o.budget, "budget", 0, "play a sample, and begin no point after that time (0 is every point)")
	flags.StringVar(&o.only, "only", "", "play only the points whose names begin so: STORY/VARIANT/NUMBER/VICTIM")
	flags.StringVar(&o.calls, "calls", "", "play only the points at calls that match this `regexp`, as \"sendmsg of iptables\"")
	flags.IntVar(&o.workers, "workers", runtime.NumCPU(), "how many points are played at a time")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 || o.dir == "" {
		fmt.Fprintln(stderr, "usage: kill -dir DIR [flags] PROGRAM")
		return exitUsage
	}
	o.program = flags.Arg(0)
	if err := play(o, stdout); err != nil {
		fmt.Fprintf(stderr, "kill: %v\n", err)
		return exitFailed
	}
	return exitPlayed
}

// play plays, and is an error where any state was not good.
func play(o options, out io.Writer) error {
	if os.Getpid() != 1 {
		return errors.New("this is no process namespace of its own: start it by .ci/kill-test")
	}
	calls, err := regexp.Compile(o.calls)
	if err != nil {
		return err
	}
	g := &game{options: o, out: out, plays: calls}
	points, err := g.points()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d points, seed %d\n", len(points), o.seed)
	g.playAll(points)
	return g.tell(len(points))
}
