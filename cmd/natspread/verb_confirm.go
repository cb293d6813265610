package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/report"
)

// confirmVerb describes confirm.
func (s *session) confirmVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "confirm",
		Usage: "keep what apply --confirm loaded",
		Description: "Makes the generation that waits to be confirmed the one that boot loads, if the\n" +
			"kernel still holds it. It may be typed in another terminal.",
	}, "natspread confirm", cmdline.ReadNone, cmdline.Guarded(s.needKernel, "confirm", s.confirm))
}

// confirm makes the pending generation current.
func (s *session) confirm(ctx context.Context, _ cmdline.None) error {
	s.Doing("reading what is loaded")
	result, err := s.changingHost().Confirm(ctx)
	if err != nil {
		return err
	}
	if err := s.revertTimer().Cancel(ctx); err != nil {
		result.Notes = append(result.Notes, err.Error()+"; it will find nothing to revert")
	}
	s.Printf("confirmed: boot loads generation %d now", result.Generation)
	current, _ := s.store().Find(result.Generation)
	cfg, _ := config.ParseGeneration(current.Number, current.Config) // it was good when it was applied
	result.Notes = append(result.Notes, s.reportHost().OldRulesNotes(cfg)...)
	s.startUnit(ctx, cfg, &result)
	return s.printResult(result, report.Ahead{})
}
