package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/config/edit"
	"natspread/internal/selftest"
)

// selftestVerb describes selftest.
func (s *session) selftestVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "selftest",
		Usage:     "try the config with real connections, in its own namespaces",
		ArgsUsage: "[SERVICE]",
		Description: "Builds the balancer, backends and clients from the config alone, loads the rules\n" +
			"that apply would load, and connects from outside, from beside the backends and\n" +
			"from the balancer itself. Prints for each service what backends got and should\n" +
			"get, whom they saw, who was refused, and what could not be tried. Exits 1 when\n" +
			"something is not as the config says. Of more than 100 services it tries 100.\n" +
			"Nothing of this host is changed.",
	}, "natspread selftest web", readService, cmdline.Guarded(needRights, "selftest", s.selftest))
}

// readService reads the name of a service; "" is all of them.
func readService(c *cli.Context) (string, error) { return c.Args().First(), nil }

// selftest tries the config.
func (s *session) selftest(ctx context.Context, service string) error {
	plan, err := s.load()
	if err != nil {
		return err
	}
	services, err := edit.Named(plan.Config, service)
	if err != nil {
		return cmdline.Coded(exitUsage, err)
	}
	kernel, err := s.host().Kernel(ctx)
	if err != nil {
		return err
	}
	s.Doing("trying %s", plan.Summary())
	result, err := selftest.Run(ctx, kernel, plan.Config, plan.Tables, services)
	if err != nil {
		return err
	}
	if err := s.Answer(result, result.Text(s.Screen())); err != nil {
		return err
	}
	s.Printf("%s", result.Summary())
	if !result.Good {
		return cmdline.ExitSilently(exitFailed)
	}
	return nil
}
