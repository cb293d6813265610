// Command powercut exists to cut the power under natspread apply, again and again,
// and to judge what each cut leaves on the disk; it must not know how a generation
// is written, only what apply reported and what may be current then.
//
// It plays on one file system, in namespaces that internal/lab/boot/powercut makes for it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// The exit codes; a failed state is no failure of the program, but a line.
const (
	exitPlayed = 0
	exitFailed = 1
	exitUsage  = 2
	exitCannot = 3 // this machine has no such file system, or no loop device
)

// main cuts the power.
func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run plays with the program named in the arguments, and prints a line for each
// state: PASS or FAIL, and which it is.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("powercut", flag.ContinueOnError)
	flags.SetOutput(stderr)
	kind := flags.String("fs", "ext4", "the file system: ext4 or xfs")
	cuts := flags.Int("cuts", 100, "how often the power is cut")
	dir := flags.String("dir", "", "an empty directory to work in, which is covered by memory")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 || *dir == "" {
		fmt.Fprintln(stderr, "usage: powercut -dir DIR [-fs ext4|xfs] [-cuts N] PROGRAM")
		return exitUsage
	}
	err := play(flags.Arg(0), *kind, *dir, *cuts, stdout)
	switch {
	case errors.Is(err, errCannot):
		fmt.Fprintf(stderr, "powercut: %v\n", err)
		return exitCannot
	case err != nil:
		fmt.Fprintf(stderr, "powercut: %v\n", err)
		return exitFailed
	}
	return exitPlayed
}

// play makes the disk and the configs, cuts, judges and tells.
func play(program, kind, dir string, cuts int, out io.Writer) error {
	if os.Getpid() != 1 {
		return errors.New("this is no process namespace of its own: start it by internal/lab/boot/powercut")
	}
	if err := coverByMemory(dir); err != nil {
		return err
	}
	configs, err := writeConfigs(dir)
	if err != nil {
		return err
	}
	g := game{program: program, disk: newDisk(kind, dir), configs: configs, out: out}
	return g.play(cuts)
}
