package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

// restoreVerb describes restore.
func (s *session) restoreVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "restore",
		Usage: "load the current generation: what the unit runs at boot",
		Description: "Reads no config. When the current generation is not good, the newest good one is\n" +
			"loaded, and restore still fails, so that the unit shows it.",
	}, "natspread restore", s.restore)
}

// restore restores.
func (s *session) restore(ctx context.Context, o options) error {
	if err := needRights("restore"); err != nil {
		return err
	}
	result, err := s.host(o).Restore(ctx)
	if err != nil {
		for _, note := range result.Notes {
			s.tell(o, "note: %s", note)
		}
		return err
	}
	if result.Changed {
		s.tell(o, "restored generation %d by the %s variant of iptables", result.Generation, result.Variant)
	} else {
		s.tell(o, "generation %d is loaded already", result.Generation)
	}
	return s.printResult(o, result)
}
