package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/restore/generation"
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
			"SERVICE it is for every backend at that address, in all services.",
	}, "natspread undrain web 10.0.0.1:80", readTarget, cmdline.Guarded(s.needKernel, "undrain", s.undrain))
}

// undrain gives a backend new connections again.
func (s *session) undrain(ctx context.Context, target change.Target) error {
	edit, result, err := s.edit(ctx, func(store generation.Store, plan change.Plan) (change.Edit, error) {
		return change.PlanDrain(store, plan, target, false)
	})
	if err != nil {
		return err
	}
	for _, b := range edit.Backends {
		s.printf("undrained %v of service %s: generation %d gives it new connections", b.Backend, b.Service.Name, result.Generation)
	}
	s.startUnit(ctx, edit.Config, &result)
	s.printNotes(result)
	if !s.json {
		return nil
	}
	live, err := edit.Live(ctx)
	if err != nil {
		return fmt.Errorf("undrained, but the connections cannot be counted: %w", err)
	}
	return s.printJSON(drainResultOf(edit, result, live))
}
