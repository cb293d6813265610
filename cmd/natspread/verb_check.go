package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/iptables"
)

// checkVerb describes check.
func (s *session) checkVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "check",
		Usage: "check the config and prove its rules; changes nothing",
		Description: "With the rights for it, the rules are really loaded, in a network namespace\n" +
			"that is thrown away. Without them, only the config is checked, and check says\n" +
			"so.",
	}, "natspread check --config ./natspread.toml", s.check)
}

// checkResult is what check prints with --json.
type checkResult struct {
	Config   string `json:"config"`
	Services int    `json:"services"`
	Backends int    `json:"backends"`
	Proven   string `json:"proven"`               // the variant of iptables; "" when not proven
	Unproven string `json:"not_proven,omitempty"` // why not
}

// check checks.
func (s *session) check(ctx context.Context, o options) error {
	c, err := s.load(o)
	if err != nil {
		return err
	}
	variant, err := s.prove(ctx, o, c)
	result := checkResult{Config: c.name, Services: len(c.config.Services), Backends: countBackends(c.config), Proven: string(variant)}
	switch {
	case errors.Is(err, program.ErrNoRights):
		result.Unproven = err.Error()
		s.tell(o, "%s: %s, good; not proven: %v", c.name, c.summary(), err)
	case err != nil:
		return err
	default:
		s.tell(o, "%s: %s, good; proven with the %s variant of iptables", c.name, c.summary(), variant)
	}
	if o.json {
		return s.printJSON(result)
	}
	return nil
}

// prove proves the rules where rights allow.
func (s *session) prove(ctx context.Context, o options, c checked) (rules.Variant, error) {
	if !iptables.HasNetAdmin() {
		return "", errUnprivileged
	}
	kernel, err := s.host(o).Kernel(ctx)
	if err != nil {
		return "", err
	}
	if err := kernel.ProveAll(ctx, c.tables); err != nil {
		return "", err
	}
	return kernel.Variant, nil
}

// errUnprivileged says why check could not prove, and what to type instead.
var errUnprivileged = fmt.Errorf("%w over the network: run sudo natspread check", program.ErrNoRights)
