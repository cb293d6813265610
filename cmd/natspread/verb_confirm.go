package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

// confirmVerb describes confirm.
func (s *session) confirmVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "confirm",
		Usage: "keep what apply --confirm loaded",
		Description: "Makes the generation that waits to be confirmed the one that boot loads, if the\n" +
			"kernel still holds it. Any session may type it.",
	}, "natspread confirm", s.confirm)
}

// confirm confirms.
func (s *session) confirm(ctx context.Context, o options) error {
	if err := needRights("confirm"); err != nil {
		return err
	}
	result, err := s.host(o).Confirm(ctx)
	if err != nil {
		return err
	}
	if err := s.disarm(ctx); err != nil {
		result.Notes = append(result.Notes, err.Error()+"; it will find nothing to take back")
	}
	s.tell(o, "confirmed: boot loads generation %d now", result.Generation)
	return s.printResult(o, result)
}
