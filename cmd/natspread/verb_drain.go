package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/restore"
)

// drainVerb describes drain.
func (s *session) drainVerb() *cli.Command {
	return verb(s, &cli.Command{
		Name:      "drain",
		Usage:     "give a backend no new connections, and wait for its last",
		ArgsUsage: "SERVICE BACKEND",
		Description: "Writes weight = 0 for the backend into the config, which is left as it is in all\n" +
			"else, comments and layout too, and applies it. Open connections go on. To undo,\n" +
			"write another weight and apply. A config with other changes that are not applied\n" +
			"yet is refused.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "wait", Usage: "wait for this `DURATION` until no connection is left there; exit 1 if one is"},
		},
	}, "natspread drain web 10.0.0.1:80 --wait 5m", readDrain, s.drain)
}

// drainOptions are the flags and arguments of drain.
type drainOptions struct {
	service, backend string
	wait             time.Duration // 0 without
}

// readDrain reads them.
func readDrain(c *cli.Context) (drainOptions, error) {
	if c.String("config") == "-" {
		return drainOptions{}, usageErrorf("drain edits the config, which cannot be standard input: name its file")
	}
	wait, err := readDuration(c, "wait")
	return drainOptions{service: c.Args().Get(0), backend: c.Args().Get(1), wait: wait}, err
}

// drainResult is what drain prints with --json.
type drainResult struct {
	changeResult
	Service string `json:"service"`
	Backend string `json:"backend"`
	Live    int    `json:"live"` // connections that are open there still; 0 with --wait
}

// drain gives a backend no new connections.
func (s *session) drain(ctx context.Context, o drainOptions) error {
	if err := needRights("drain"); err != nil {
		return err
	}
	if err := s.host().CanProve(ctx); err != nil { // before the config is edited
		return nothingChanged(err)
	}
	drain, result, err := s.applyDrain(ctx, o)
	if err != nil {
		return err
	}
	s.printf("drained %v of service %s: generation %d gives it no new connections", drain.Backend, drain.Service.Name, result.Generation)
	if drain.Complete() {
		result.Notes = append(result.Notes, fmt.Sprintf("every backend of service %s is drained: clients are refused", drain.Service.Name))
	}
	s.printNotes(result)
	live, err := s.awaitDrained(ctx, o.wait, drain)
	if err != nil || !s.json {
		return err
	}
	return s.printJSON(drainResult{
		changeResult: resultOf(result), Service: drain.Service.Name, Backend: drain.Backend.String(), Live: live,
	})
}

// applyDrain drains the backend, while nobody else is between reading the config and
// applying it: whoever takes several backends out may well do so at once.
func (s *session) applyDrain(ctx context.Context, o drainOptions) (change.Drain, restore.Result, error) {
	plan, unlock, err := s.loadLocked(ctx)
	if err != nil {
		return change.Drain{}, restore.Result{}, err
	}
	defer unlock()
	drain, err := change.PlanDrain(s.store(), plan, s.config, o.service, o.backend)
	if err != nil {
		return change.Drain{}, restore.Result{}, nothingChanged(err)
	}
	result, err := drain.Apply(ctx, s.changingHost())
	return drain, result, err
}
