package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/report"
)

// restoreVerb describes restore.
func (s *session) restoreVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "restore",
		Usage: "load the current generation: what the unit runs at boot",
		Description: "Reads no config. When the current generation is not good, the newest good one is\n" +
			"loaded, and restore still fails, so that the unit shows it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "wait", Usage: "wait for this `DURATION` for other natspreads and for iptables' lock", DefaultText: "5s for each"},
		},
	}, "natspread restore", readRestore, cmdline.Guarded(s.needKernel, "restore", s.restore))
}

// restoreOptions are the flags of restore.
type restoreOptions struct {
	wait time.Duration // 0 without
}

// readRestore reads them.
func readRestore(c *cli.Context) (restoreOptions, error) {
	wait, err := cmdline.Duration(c, "wait")
	return restoreOptions{wait: wait}, err
}

// restore loads the current generation.
func (s *session) restore(ctx context.Context, o restoreOptions) error {
	host := s.host()
	host.Wait = o.wait
	s.Doing("loading the current generation")
	result, err := host.Restore(ctx)
	if err != nil {
		return s.stopHalfway(result, nil, err)
	}
	if result.Changed {
		s.Printf("restored generation %d by the %s variant of iptables", result.Generation, result.Variant)
	} else {
		s.Printf("generation %d is %s", result.Generation, result.There())
	}
	return s.printResult(result, report.Ahead{})
}
