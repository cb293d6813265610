package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/report"
)

// stopVerb describes stop.
func (s *session) stopVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "stop",
		Usage: "take natspread's rules out of the kernel",
		Description: "Forwarding goes back to what was found before. The generations stay: restore, or\n" +
			"the next boot, loads the current one again. If no other rule is left in the nat\n" +
			"table, balanced connections that are open end: nothing translates them then.",
	}, "natspread stop", cmdline.ReadNone, cmdline.Guarded(s.needKernel, "stop", s.stop))
}

// stop takes the rules out.
func (s *session) stop(ctx context.Context, _ cmdline.None) error {
	s.Doing("taking the rules out")
	result, err := s.changingHost().Stop(ctx)
	if err != nil {
		return s.stopHalfway(result, nil, err)
	}
	if result.Changed {
		s.Printf("stopped: the rules of natspread are out of the kernel")
		result.Notes = append(result.Notes, s.store().TakenOutSince(0, result.Variant)...)
	} else {
		s.Printf("no rule of natspread was loaded")
	}
	return s.printResult(result, report.Ahead{})
}
