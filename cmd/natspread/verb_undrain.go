package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/failure"
)

// undrainVerb describes undrain.
func (s *session) undrainVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "undrain",
		Usage:     "give a drained backend new connections again",
		ArgsUsage: "[SERVICE] BACKEND",
		Description: "Takes drain = true of the backend out of the config, which stays as it is in all\n" +
			"else, and applies it: the backend has its weight again. One that has weight = 0\n" +
			"gets the weight of the newest generation in which it had one, or 1. Without\n" +
			"SERVICE it is for every backend at that address, in all services. With --runtime\n" +
			"it takes back what drain --runtime did.",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "runtime", Usage: "only in what is loaded, what drain --runtime drained"}},
	}, "natspread undrain web 10.0.0.1:80", readUndrain, cmdline.Guarded(s.needKernel, "undrain", s.undrain))
}

// readUndrain reads its flag and arguments.
func readUndrain(c *cli.Context) (drainOptions, error) {
	target, err := readTarget(c)
	return drainOptions{target: target, runtime: c.Bool("runtime")}, err
}

// undrain gives a backend new connections again.
func (s *session) undrain(ctx context.Context, o drainOptions) error {
	edit, result, err := s.setDrain(ctx, o, false)
	if err != nil {
		return err
	}
	for _, b := range edit.Backends {
		if o.runtime {
			s.Printf("undrained %v of service %s: it gets new connections, unless its check fails", b.Backend, b.Service.Name)
		} else {
			s.Printf("undrained %v of service %s: generation %d gives it new connections", b.Backend, b.Service.Name, result.Generation)
		}
	}
	if !o.runtime {
		s.startUnit(ctx, edit.Config, &result)
	}
	s.printNotes(result)
	if !s.JSON {
		return nil
	}
	live, err := edit.Live(ctx)
	if err != nil {
		return failure.Halfway(result, nil, fmt.Errorf("undrained, but the connections cannot be counted: %w", err))
	}
	return unprinted(result, s.PrintJSON(drainResultOf(edit, result, live)))
}
