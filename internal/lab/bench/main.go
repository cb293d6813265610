// Command bench exists to put figures beside natspread's promises of speed: each
// is measured side by side with what it is compared to, in turns, in one run.
//
// It is no test: a missed target is printed, and nothing depends on it. It must be
// started in a network namespace and a mount namespace of its own; see the
// Makefile.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// main runs the benchmarks.
func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run measures everything for the program named in the arguments.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 9, "how often each figure is taken; the median is printed")
	var only []measure
	for _, part := range []struct {
		name, usage string
		measure     measure
	}{
		{"control", "measure apply, a change and restore of many services only", bench.control},
		{"slots", "measure those of services whose clients keep their backends only", bench.slots},
		{"overlays", "measure one backend of many services that goes down only", bench.overlays},
	} {
		flags.BoolFunc(part.name, part.usage, func(string) error { only = append(only, part.measure); return nil })
	}
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		fmt.Fprintln(stderr, "usage: bench [-rounds N] [-control] [-slots] [-overlays] PROGRAM")
		return 2
	}
	if err := measureAll(flags.Arg(0), *rounds, only, stdout); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// measure prints the lines of a part.
type measure func(bench) error

// measures are those of all parts.
func measures() []measure {
	return []measure{
		bench.size, bench.version, bench.render, bench.check, bench.restoreArticle, bench.restoreMany, bench.control, bench.slots, bench.overlays,
	}
}

// measureAll prepares the configs and prints a line for each figure of some parts; nil are all.
func measureAll(program string, rounds int, only []measure, out io.Writer) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "natspread-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := bench{program: program, dir: dir, rounds: rounds, out: out}
	if err := os.Mkdir(b.root(), 0o755); err != nil {
		return err
	}
	fmt.Fprintf(out, "medians of %d rounds, in turns with what each is compared to\n\n", rounds)
	if only == nil {
		only = measures()
	}
	for _, measure := range only {
		if err := measure(b); err != nil {
			return errors.Join(errors.New("cannot measure"), err)
		}
	}
	return nil
}
