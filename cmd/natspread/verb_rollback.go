package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/report"
	"natspread/restore"
	"natspread/restore/generation"
)

// rollbackVerb describes rollback.
func (s *session) rollbackVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "rollback",
		Usage:     "apply an older generation again",
		ArgsUsage: "[N]",
		Description: "Takes rules and config of generation N, of the one before the current without N,\n" +
			"and does with them what apply does. The result is a new generation, so what was\n" +
			"rolled back can be had again. The config file stays as it is, unless\n" +
			"--config-too is given.\n\n" +
			"While a generation waits to be confirmed, rollback without N reverts that one at\n" +
			"once, as if its time were over.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "config-too", Usage: "put the generation's config back into the config file"},
			&cli.BoolFlag{Name: "yes", Usage: "ask nothing: take the port of this ssh connection"},
			&cli.BoolFlag{Name: "overdue", Usage: "only revert what is not confirmed in time, and wait for that: what the timer runs"},
		},
	}, "natspread rollback", readRollback, cmdline.Guarded(s.needKernel, "rollback", s.rollback))
}

// rollbackOptions are the flags of rollback.
type rollbackOptions struct {
	number       int // of a generation; 0 without
	overdue, yes bool
	configToo    bool
}

// readRollback reads them.
func readRollback(c *cli.Context) (rollbackOptions, error) {
	numbers, err := readGenerations(c)
	if err != nil {
		return rollbackOptions{}, err
	}
	o := rollbackOptions{overdue: c.Bool("overdue"), yes: c.Bool("yes"), configToo: c.Bool("config-too")}
	if len(numbers) > 0 {
		o.number = numbers[0]
	}
	return o, cmp.Or(
		cmdline.RefuseIf(o.number != 0 && o.overdue, "--overdue and a generation exclude each other: give one of them"),
		cmdline.RefuseIf(o.configToo && o.overdue, "--overdue and --config-too exclude each other: give one of them"),
		cmdline.RefuseIf(o.configToo && c.String("config") == "-", "--config-too and --config - exclude each other: standard input is no file"),
	)
}

// rollback rolls back.
func (s *session) rollback(ctx context.Context, o rollbackOptions) error {
	if o.number == 0 {
		if _, err := s.store().Pending(); o.overdue || !errors.Is(err, generation.ErrNothingPending) {
			return s.revert(ctx, o)
		}
	}
	if err := s.confirmRollback(ctx, &o); err != nil {
		return err
	}
	unlock, err := s.host().LockEdit(ctx) // which generation is meant depends on what is current
	if err != nil {
		return nothingChanged(err)
	}
	defer unlock()
	old, err := s.rollbackTo(o)
	if err != nil {
		return nothingChanged(err)
	}
	cfg, unread := config.ParseGeneration(old.Number, old.Config) // that of an older natspread, maybe
	ahead := report.Ahead{}
	if unread == nil {
		ahead = s.reportHost().Ahead(cfg)
	}
	s.Doing("proving and loading generation %d", old.Number)
	result, err := change.Apply(ctx, s.changingHost(), change.Again(old, fmt.Sprintf("rollback %d", old.Number)))
	if err != nil {
		return err
	}
	s.printRolledBack(result, ahead, old.Number)
	if err := s.configToo(o, old, &result); err != nil {
		return s.stopHalfway(result, nil, err)
	}
	result.Notes = append(result.Notes, s.store().TakenOutSince(old.Number, result.Variant)...)
	if further := s.store().Earlier(old); further != 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("one further back: natspread rollback %d", further))
	}
	if unread == nil {
		s.noteRemaining(ctx, cfg, old.Tables, &result)
	}
	unlock() // nobody need wait for systemd
	s.startUnit(ctx, cfg, &result)
	return s.printResult(result, ahead)
}

// configToo puts the config of a generation that is loaded now back into the config file, if
// that is asked for; else a note says that another config is there.
func (s *session) configToo(o rollbackOptions, loaded generation.Generation, result *restore.Result) error {
	if !o.configToo {
		if files, err := s.readConfig(); err == nil && !loaded.MadeFrom(files) {
			result.Notes = append(result.Notes, fmt.Sprintf("%s is another config still, which the next apply loads; to put back that of generation %d: natspread rollback %d --config-too",
				s.config, result.Generation, result.Generation))
		}
		return nil
	}
	kept, changed, err := change.PutBack(s.store(), s.config, loaded, func(file string) {
		s.Printf("removing %s: the generation's config has no such file", file)
	})
	result.Changed = result.Changed || changed
	for _, file := range kept {
		result.Notes = append(result.Notes, fmt.Sprintf("the config had changes that were never applied: they are in %s", file))
	}
	if err != nil {
		return fmt.Errorf("the rules are rolled back, but not the config: %w", err)
	}
	if changed {
		s.Printf("put back the config %s", loaded.Config.Title(s.config))
	}
	return nil
}

// confirmRollback asks whether to load a generation that takes the port of the ssh connection.
// The answer is for that one, whatever is current by then.
func (s *session) confirmRollback(ctx context.Context, o *rollbackOptions) error {
	old, err := s.rollbackTo(*o)
	if err != nil {
		return nothingChanged(err)
	}
	cfg, _ := config.ParseGeneration(old.Number, old.Config) // of an older natspread, maybe
	taken, err := s.takesLogin(ctx, o.yes, cfg)
	if taken != "" {
		o.number = old.Number
	}
	return cmp.Or(err, s.askLogin(ctx, taken))
}

// printRolledBack says what the rollback to a generation did.
func (s *session) printRolledBack(result restore.Result, ahead report.Ahead, old int) {
	switch {
	case result.Changed && result.Generation == old:
		s.Printf("loaded generation %d again, which is current", result.Generation)
	case result.Changed:
		s.Printf("rolled back to generation %d%v, which is generation %d now", old, ahead, result.Generation)
	case result.Generation == old:
		s.Printf("no change: generation %d is %s", result.Generation, result.There())
	default:
		s.Printf("no change: generation %d is the same as %d, and %s", result.Generation, old, result.There())
	}
}

// revert ends the trial of the generation that waits to be confirmed.
func (s *session) revert(ctx context.Context, o rollbackOptions) error {
	host := s.changingHost()
	revert := host.Revert
	if o.overdue {
		revert = host.RevertOverdue
	}
	s.Doing("loading what was there before")
	result, err := revert(ctx)
	switch {
	case o.overdue && errors.Is(err, generation.ErrNothingPending):
		s.Printf("%v", generation.ErrNothingPending)
		return s.printResult(result, report.Ahead{})
	case err != nil:
		return s.stopHalfway(result, nil, err)
	case !o.overdue: // else this is what the timer runs
		if err := s.revertTimer().Cancel(ctx); err != nil {
			result.Notes = append(result.Notes, err.Error()+"; it will find nothing to revert")
		}
	}
	if result.Generation != 0 {
		s.Printf("reverted what was not confirmed: generation %d is loaded", result.Generation)
	} else {
		s.Printf("reverted what was not confirmed: no rule of natspread is loaded, as before")
	}
	if o.configToo && result.Generation != 0 {
		loaded, err := s.store().Find(result.Generation)
		if err == nil {
			err = s.configToo(o, loaded, &result)
		}
		if err != nil {
			return s.stopHalfway(result, nil, err)
		}
	}
	return s.printResult(result, report.Ahead{})
}

// rollbackTo returns the generation that was asked for.
func (s *session) rollbackTo(o rollbackOptions) (generation.Generation, error) {
	if o.number != 0 {
		return s.store().Find(o.number)
	}
	return s.store().Previous()
}
