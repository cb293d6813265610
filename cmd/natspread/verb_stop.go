package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

// stopVerb describes stop.
func (s *session) stopVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "stop",
		Usage: "take natspread's rules out of the kernel",
		Description: "Forwarding goes back to what was found before. The generations stay: restore, or\n" +
			"the next boot, loads the current one again.",
	}, "natspread stop", s.stop)
}

// stop stops.
func (s *session) stop(ctx context.Context, o options) error {
	if err := needRights("stop"); err != nil {
		return err
	}
	result, err := s.host(o).Stop(ctx)
	if err != nil {
		return err
	}
	if result.Changed {
		s.tell(o, "stopped: natspread's rules are out of the kernel")
	} else {
		s.tell(o, "no rule of natspread's was loaded")
	}
	return s.printResult(o, result)
}
