package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/program"
	"natspread/internal/report"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/iptables"
)

// checkVerb describes check.
func (s *session) checkVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "check",
		Usage: "check the config and prove its rules; changes nothing",
		Description: "With the rights for it, the rules are really loaded, in a network namespace\n" +
			"that is thrown away. Without them, only the config is checked, and check says\n" +
			"so.",
	}, "natspread check --config ./natspread.toml", cmdline.ReadNone, s.check)
}

// checkResult is what check prints with --json.
type checkResult struct {
	Config   string   `json:"config"`
	Files    []string `json:"files"` // that were read, in their order
	Services int      `json:"services"`
	Backends int      `json:"backends"`
	Proven   string   `json:"proven"`               // the variant of iptables; "" when not proven
	Unproven string   `json:"not_proven,omitempty"` // why not
	Notes    []string `json:"notes,omitempty"`      // what this host does not bear out, what may not be meant, and rules of others that are no longer reached
}

// check checks the config, and proves its rules where rights allow.
func (s *session) check(ctx context.Context, _ cmdline.None) error {
	plan, err := s.load()
	if err != nil {
		return err
	}
	variant, err := s.prove(ctx, plan)
	result := checkResult{Config: plan.Name, Files: plan.Files.Paths(), Services: len(plan.Config.Services), Backends: plan.Config.CountBackends(), Proven: string(variant), Notes: append(change.Ignored(s.config), report.RoughShares(plan.Config)...)}
	switch {
	case errors.Is(err, program.ErrNoRights):
		result.Unproven = err.Error()
		s.Printf("%s: %s, good; not proven: %v", plan.Where(), plan.Summary(), err)
	case err != nil:
		return err
	default:
		s.Printf("%s: %s, good; proven with the %s variant of iptables", plan.Where(), plan.Summary(), variant)
		result.Notes = append(result.Notes, s.notesBefore(ctx, plan)...)
	}
	s.printNotes(restore.Result{Notes: result.Notes})
	return s.Answer(result, "")
}

// notesBefore says what this host will do with connections of the config once it is applied,
// where natspread reads the kernel that it works on.
func (s *session) notesBefore(ctx context.Context, plan change.Plan) []string {
	if s.needKernel("check") != nil {
		return nil
	}
	return s.reportHost().NotesBefore(ctx, plan.Config, plan.Tables)
}

// prove proves the rules where rights allow.
func (s *session) prove(ctx context.Context, plan change.Plan) (rules.Variant, error) {
	if !iptables.HasNetAdmin() {
		return "", errUnprivileged
	}
	s.Doing("proving %s", plan.Summary())
	kernel, err := s.host().Kernel(ctx)
	if err != nil {
		return "", err
	}
	if err := kernel.ProveAll(ctx, plan.Tables); err != nil {
		return "", err
	}
	return kernel.Variant, nil
}

// errUnprivileged says why check could not prove, and what to type instead.
var errUnprivileged = fmt.Errorf("%w over the network; fix: sudo natspread check", program.ErrNoRights)
