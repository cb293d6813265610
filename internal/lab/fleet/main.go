// Command fleet exists to kill balancers under connections, and to count what is lost; it must
// not know how natspread makes its rules, only what docs/fleet.md promises.
//
// The texts of that page are what runs, with the real keepalived, BIRD, FRR and conntrackd. Each
// row is played in namespaces of its own, which end with it.
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
	"regexp"
	"strings"
	"syscall"
	"time"

	"natspread/internal/lab/netns"
)

// The exit codes.
const (
	exitGood   = 0
	exitFailed = 1 // a row was not as it should be, and a line names it
	exitUsage  = 2
)

// rowLimit bounds one row.
const rowLimit = 90 * time.Second

// options are the flags.
type options struct {
	program string         // natspread
	page    string         // docs/fleet.md
	rows    *regexp.Regexp // the names of those that are played
	set     set            // the least set that they are in
	table   bool           // the lines are those of a table in Markdown
	limit   time.Duration  // of all
}

// main plays, or takes a part in a row.
func main() { os.Exit(netns.Main(parts(), run)) }

// parts are what this program is in a row, by its first argument.
func parts() map[string]func(args []string) error {
	return map[string]func([]string) error{"inside": inside, "client": beClient, "backends": beBackends}
}

// run plays all rows that the arguments name.
func run(args []string, stdout, stderr io.Writer) int {
	var o options
	var row, of string
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&row, "row", "", "play only rows whose names match this `regexp`")
	flags.StringVar(&of, "set", "all", "play only rows of this `set`: quick, test or all")
	flags.StringVar(&o.page, "page", "docs/fleet.md", "the `file` whose texts are run")
	flags.BoolVar(&o.table, "table", false, "print the lines of a table in Markdown")
	flags.DurationVar(&o.limit, "limit", time.Hour, "of all that is played")
	err := flags.Parse(args)
	if err == nil {
		o.rows, err = regexp.Compile(row)
	}
	var known bool
	o.set, known = map[string]set{"quick": quick, "test": tested, "all": whole}[of]
	if err != nil || !known || flags.NArg() != 1 {
		fmt.Fprintln(stderr, "usage: fleet [flags] PROGRAM")
		return exitUsage
	}
	o.program, err = filepath.Abs(flags.Arg(0))
	if err == nil {
		o.page, err = filepath.Abs(o.page)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return playAll(o, stdout)
}

// playAll plays one row after the other, since each is to have the machine for itself, and
// prints a line for each.
func playAll(o options, out io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	played, failed := 0, 0
	if o.table {
		fmt.Fprintln(out, "| row | taken over | lost: idle, echo, push, down, up | new ones that failed |\n|---|---|---|---|")
	}
	for _, r := range rows() {
		if !o.rows.MatchString(r.name) || r.set > o.set {
			continue
		}
		played++
		began := time.Now()
		said, err := playOne(ctx, o, r)
		verdict := "pass"
		if err != nil {
			failed++
			verdict = "FAIL"
			said = fmt.Sprintf("%v\n%s", err, said)
		}
		if o.table && err == nil {
			fmt.Fprintf(out, "| %s | %s", r.name, said)
		} else {
			fmt.Fprintf(out, "%s %s (%.0f s): %s", verdict, r.name, time.Since(began).Seconds(), said)
		}
	}
	if !o.table || failed > 0 {
		fmt.Fprintf(out, "fleet: %d passed, %d failed\n", played-failed, failed)
	}
	if failed > 0 || played == 0 {
		return exitFailed
	}
	return exitGood
}

// playOne plays in namespaces of its own.
func playOne(ctx context.Context, o options, r row) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, rowLimit)
	defer cancel()
	return netns.Output(ctx, netns.Machine, "inside", "LEFT", r.name, o.program, o.page, fmt.Sprint(o.table))
}

// inside plays one row in the namespaces that were made for it.
func inside(args []string) error {
	if len(args) != 5 {
		return errors.New("it is started by this program alone")
	}
	texts, err := readPage(args[3]) // before /run is another one
	if err == nil {
		err = netns.Settle(args[0], netns.Machine)
	}
	if err != nil {
		return err
	}
	for _, r := range rows() {
		if r.name != args[1] {
			continue
		}
		s := &stage{row: r, program: args[2], texts: texts}
		result, err := s.play()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, s.heard())
		}
		if args[4] == "true" {
			fmt.Println(result.cells())
		} else {
			fmt.Println(strings.TrimSpace(result.String()))
		}
		return result.judge(r)
	}
	return fmt.Errorf("there is no row %q", args[1])
}
