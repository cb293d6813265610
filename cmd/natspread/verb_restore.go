package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

// restoreVerb describes restore.
func (s *session) restoreVerb() *cli.Command {
	return verb(s, &cli.Command{
		Name:  "restore",
		Usage: "load the current generation: what the unit runs at boot",
		Description: "Reads no config. When the current generation is not good, the newest good one is\n" +
			"loaded, and restore still fails, so that the unit shows it.",
	}, "natspread restore", readNone, s.restore)
}

// restore loads the current generation.
func (s *session) restore(ctx context.Context, _ noOptions) error {
	if err := needRights("restore"); err != nil {
		return err
	}
	result, err := s.host().Restore(ctx)
	if err != nil {
		s.printNotes(result)
		return err
	}
	if result.Changed {
		s.printf("restored generation %d by the %s variant of iptables", result.Generation, result.Variant)
	} else {
		s.printf("generation %d is loaded already", result.Generation)
	}
	return s.printResult(result)
}
