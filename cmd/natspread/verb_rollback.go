package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/restore"
	"natspread/restore/generation"
)

// rollbackVerb describes rollback.
func (s *session) rollbackVerb() *cli.Command {
	return verb(&cli.Command{
		Name:      "rollback",
		Usage:     "apply an older generation again",
		ArgsUsage: "[N]",
		Description: "Takes rules and config of generation N, of the one before the current without N,\n" +
			"and does with them what apply does. The result is a new generation, so what was\n" +
			"rolled back can be had again. The config file stays as it is.\n\n" +
			"While a generation waits to be confirmed, rollback without N takes that one back\n" +
			"at once, as if its time were over.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "overdue", Usage: "only take back what is not confirmed in time, and wait for that: what the timer runs"},
		},
	}, "natspread rollback", s.rollback)
}

// rollback rolls back.
func (s *session) rollback(ctx context.Context, o options) error {
	if err := needRights("rollback"); err != nil {
		return err
	}
	if len(o.generations) == 0 {
		if _, err := o.store().Pending(); o.overdue || !errors.Is(err, generation.ErrNothingPending) {
			return s.takeBack(ctx, o)
		}
	}
	unlock, err := s.host(o).LockEdit(ctx) // which generation is meant depends on what is current
	if err != nil {
		return nothingChanged(err)
	}
	defer unlock()
	old, err := o.rollbackTo()
	if err != nil {
		return nothingChanged(err)
	}
	result, err := s.host(o).Apply(ctx, restore.Request{
		Tables: old.Tables, Config: old.Config, Command: fmt.Sprintf("rollback %d", old.Generation), Now: time.Now(),
	})
	if err != nil {
		return err
	}
	switch {
	case result.Changed && result.Generation == old.Generation:
		s.tell(o, "loaded generation %d again, which is current", result.Generation)
	case result.Changed:
		s.tell(o, "rolled back to generation %d, which is generation %d now", old.Generation, result.Generation)
	case result.Generation == old.Generation:
		s.tell(o, "no change: generation %d is loaded already", result.Generation)
	default:
		s.tell(o, "no change: generation %d is the same as %d, and loaded already", result.Generation, old.Generation)
	}
	if text, err := os.ReadFile(o.config); err == nil && !bytes.Equal(text, old.Config) {
		result.Notes = append(result.Notes, fmt.Sprintf("%s is another config still, which the next apply would make true: cp %s %s",
			o.config, o.store().ConfigFile(result.Generation), o.config))
	}
	if cfg, err := savedConfig(old); err == nil {
		s.noteDropped(ctx, o, cfg, old.Tables, &result)
	}
	return s.printResult(o, result)
}

// takeBack ends the trial of the generation that waits to be confirmed.
func (s *session) takeBack(ctx context.Context, o options) error {
	undo := s.host(o).Undo
	if o.overdue {
		undo = s.host(o).RevertOverdue
	}
	result, err := undo(ctx)
	switch {
	case o.overdue && errors.Is(err, generation.ErrNothingPending):
		s.tell(o, "%v", generation.ErrNothingPending)
		return s.printResult(o, result)
	case err != nil:
		return err
	case !o.overdue: // else this is what the timer runs
		if err := s.disarm(ctx); err != nil {
			result.Notes = append(result.Notes, err.Error()+"; it will find nothing to take back")
		}
	}
	if result.Generation != 0 {
		s.tell(o, "took back what was not confirmed: generation %d is loaded", result.Generation)
	} else {
		s.tell(o, "took back what was not confirmed: no rule of natspread's is loaded, as before")
	}
	return s.printResult(o, result)
}

// rollbackTo returns the generation that was asked for.
func (o options) rollbackTo() (generation.Generation, error) {
	if len(o.generations) > 0 {
		return o.store().Find(o.generations[0])
	}
	return o.store().Previous()
}
