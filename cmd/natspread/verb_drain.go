package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/failure"
	"natspread/internal/paths"
	"natspread/internal/terminal"
	"natspread/internal/text"
	"natspread/restore"
	"natspread/restore/generation"
)

// drainVerb describes drain.
func (s *session) drainVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "drain",
		Usage:     "give a backend no new connections, and wait for its last",
		ArgsUsage: "[SERVICE] BACKEND",
		Description: "Writes drain = true for the backend into the config, which stays as it is in all\n" +
			"else, its weight, comments and layout too, and applies it. Open connections go\n" +
			"on. Without SERVICE it drains every backend at that address, in all services.\n" +
			"natspread undrain does the opposite. A config with other changes that are not\n" +
			"applied yet is refused. With --runtime neither config nor generation changes:\n" +
			"the backend is out until the next load of a generation, or the next boot.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "wait", Usage: "wait for this `DURATION` until no connection is left there; exit 1 if one is"},
			&cli.BoolFlag{Name: "now", Usage: "end its connections at once: UDP moves to another backend, TCP is reset"},
			&cli.BoolFlag{Name: "keep-one", Usage: "refuse to drain the last backend of a service"},
			&cli.BoolFlag{Name: "runtime", Usage: "only in what is loaded, until the next load of a generation or boot"},
		},
	}, "natspread drain web 10.0.0.1:80 --wait 5m\n  natspread drain 10.0.0.1", readDrain, cmdline.Guarded(s.needKernel, "drain", s.drain))
}

// drainOptions are the flags and arguments of drain.
type drainOptions struct {
	target  change.Target
	wait    time.Duration // 0 without
	now     bool
	keepOne bool
	runtime bool // in what is loaded, and not in the config
}

// readDrain reads them.
func readDrain(c *cli.Context) (drainOptions, error) {
	target, err := readTarget(c)
	if err != nil {
		return drainOptions{}, err
	}
	wait, err := cmdline.Duration(c, "wait")
	o := drainOptions{target: target, wait: wait, now: c.Bool("now"), keepOne: c.Bool("keep-one"), runtime: c.Bool("runtime")}
	if err != nil {
		return drainOptions{}, err
	}
	return o, cmdline.RefuseIf(o.now && o.wait > 0, "--now and --wait exclude each other: --now leaves no connection to wait for")
}

// readTarget reads the arguments of drain and undrain.
func readTarget(c *cli.Context) (change.Target, error) {
	if c.String("config") == "-" && !c.Bool("runtime") {
		return change.Target{}, cmdline.UsageErrorf("%s edits the config, which cannot be standard input: name its file", c.Command.Name)
	}
	if c.Args().Len() == 1 {
		return change.Target{Backend: c.Args().First()}, nil
	}
	return change.Target{Service: c.Args().Get(0), Backend: c.Args().Get(1)}, nil
}

// drainResult is what drain and undrain print with --json.
type drainResult struct {
	changeResult
	Backends []drainedBackend `json:"backends"`
}

// drainedBackend is one backend in the output of drain and undrain.
type drainedBackend struct {
	Service string `json:"service"`
	Backend string `json:"backend"`
	Live    int    `json:"live"` // connections that are open there still; 0 with --wait
}

// writeOK asks access(2) whether a file may be written.
const writeOK = 2

// drain gives a backend no new connections.
func (s *session) drain(ctx context.Context, o drainOptions) error {
	edit, result, err := s.setDrain(ctx, o, true)
	if errors.Is(err, syscall.EROFS) && !o.runtime && syscall.Access(s.store().Path(paths.Run), writeOK) == nil {
		return fmt.Errorf("%w; fix: natspread drain --runtime %v", err, o.target)
	}
	if err != nil {
		return err
	}
	for _, b := range edit.Backends {
		if o.runtime {
			s.Printf("drained %v of service %s: it gets no new connections until the next load of a generation, or the next boot", b.Backend, b.Service.Name)
		} else {
			s.Printf("drained %v of service %s: generation %d gives it no new connections", b.Backend, b.Service.Name, result.Generation)
		}
	}
	if o.now { // the drain stands already, so a failure is a note
		deleted, err := edit.End(ctx)
		result.DeletedEntries += deleted
		if err != nil {
			result.Notes = append(result.Notes, err.Error())
		}
	}
	if !o.runtime {
		s.startUnit(ctx, edit.Config, &result)
	}
	s.printNotes(result)
	live, err := s.awaitDrained(ctx, o.wait, edit)
	if err != nil {
		return failure.Halfway(result, nil, err)
	}
	return unprinted(result, s.Answer(drainResultOf(edit, result, live), ""))
}

// awaitDrained waits, if it was asked to, until no connection is left at the backends of an edit,
// and returns how many are at each. A terminal sees how long it still waits, others each new
// number.
func (s *session) awaitDrained(ctx context.Context, wait time.Duration, edit change.Edit) ([]int, error) {
	last := ""
	each, open, err := edit.Await(ctx, wait, func(open string, left time.Duration) {
		switch {
		case terminal.Is(s.Err):
			s.Line.Show(fmt.Sprintf("%s, waiting for %s more", open, text.Duration(left.Round(time.Second))))
		case open != last:
			s.Printf("%s", open)
		}
		last = open
	})
	switch {
	case err != nil:
		return each, err
	case open != "":
		s.Printf("%s: natspread status counts them", open)
	default:
		s.Printf("no connection there is open")
	}
	return each, nil
}

// setDrain drains backends, or gives them new connections again: in the config, or with
// --runtime in what is loaded.
func (s *session) setDrain(ctx context.Context, o drainOptions, drain bool) (change.Edit, restore.Result, error) {
	s.Doing("reading what is loaded")
	keepOne := func(edit change.Edit, err error) (change.Edit, error) {
		if empty := edit.Empty(); err == nil && o.keepOne && len(empty) > 0 {
			err = fmt.Errorf("no backend of service %s would be left; without --keep-one clients are refused", strings.Join(empty, ", "))
		}
		return edit, err
	}
	if o.runtime {
		edit, result, err := change.ApplyRuntime(ctx, s.changingHost(), func() (change.Edit, error) {
			return keepOne(change.PlanRuntime(s.host(), o.target, drain))
		})
		for _, name := range edit.Empty() {
			result.Notes = append(result.Notes, fmt.Sprintf("every backend of service %s is drained: clients are refused", name))
		}
		return edit, result, err
	}
	return s.edit(ctx, func(store generation.Store, plan change.Plan) (change.Edit, error) {
		return keepOne(change.PlanDrain(store, plan, o.target, drain))
	})
}

// drainResultOf is the result of drain or undrain as --json prints it; live has a number
// for each backend.
func drainResultOf(edit change.Edit, result restore.Result, live []int) drainResult {
	printed := drainResult{changeResult: resultOf(result), Backends: make([]drainedBackend, len(edit.Backends))}
	for i, b := range edit.Backends {
		printed.Backends[i] = drainedBackend{Service: b.Service.Name, Backend: b.Backend.String(), Live: live[i]}
	}
	return printed
}

// edit edits the config and applies it, while nobody else is between reading the config and
// applying it: whoever takes several backends out may well do so at once.
func (s *session) edit(ctx context.Context, planEdit func(generation.Store, change.Plan) (change.Edit, error)) (change.Edit, restore.Result, error) {
	if err := s.host().CanLoad(ctx); err != nil { // before the config is edited
		return change.Edit{}, restore.Result{}, nothingChanged(err)
	}
	plan, unlock, err := s.loadLocked(ctx)
	if err != nil {
		return change.Edit{}, restore.Result{}, err
	}
	defer unlock()
	edit, err := planEdit(s.store(), plan)
	if err != nil {
		return change.Edit{}, restore.Result{}, nothingChanged(err)
	}
	ahead := s.reportHost().Ahead(edit.Config)
	s.Doing("proving and loading %s", edit.Plan.Summary())
	result, err := edit.Apply(ctx, s.changingHost())
	if err != nil {
		return change.Edit{}, restore.Result{}, failure.Halfway(result, nil, err)
	}
	result.NoteIfChanged(ahead.Moves)
	s.noteRemaining(ctx, edit.Config, edit.Tables, &result)
	return edit, result, nil
}
