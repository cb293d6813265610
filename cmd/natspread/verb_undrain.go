package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/restore/generation"
)

// undrainVerb describes undrain.
func (s *session) undrainVerb() *cli.Command {
	return verb(s, &cli.Command{
		Name:      "undrain",
		Usage:     "give a drained backend new connections again",
		ArgsUsage: "[SERVICE] BACKEND",
		Description: "Takes drain = true of the backend out of the config, which stays as it is in all\n" +
			"else, and applies it: the backend has its weight again. One that has weight = 0\n" +
			"gets the weight of the newest generation in which it had one, or 1. Without\n" +
			"SERVICE it is for every backend at that address, in all services.",
	}, "natspread undrain web 10.0.0.1:80", readTarget, s.undrain)
}

// undrain gives a backend new connections again.
func (s *session) undrain(ctx context.Context, target change.Target) error {
	if err := s.needKernel("undrain"); err != nil {
		return err
	}
	drain, result, err := s.edit(ctx, func(store generation.Store, plan change.Plan) (change.Drain, error) {
		return change.PlanUndrain(store, plan, s.config, target)
	})
	if err != nil {
		return err
	}
	for _, b := range drain.Backends {
		s.printf("undrained %v of service %s: generation %d gives it new connections", b.Backend, b.Service.Name, result.Generation)
	}
	s.startUnit(ctx, &result)
	s.printNotes(result)
	if !s.json {
		return nil
	}
	live := make([]int, len(drain.Backends))
	for i, b := range drain.Backends {
		if live[i], err = b.Live(ctx); err != nil {
			return err
		}
	}
	return s.printJSON(drainResultOf(drain, result, live))
}
