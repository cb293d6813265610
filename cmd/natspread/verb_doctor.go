package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/paths"
	"natspread/internal/report"
)

// doctorVerb describes doctor.
func (s *session) doctorVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "doctor",
		Usage: "find what on this host keeps the balancer from working",
		Description: "Prints a line for each finding, the worst first, and below it the line that\n" +
			"fixes it. Exits 1 when something is broken, or will be at boot; risks alone\n" +
			"exit 0. It judges by the config; without a good one, by what was applied.\n" +
			"Nothing is changed.",
	}, "natspread doctor", cmdline.ReadNone, cmdline.Guarded(needRights, "doctor", s.examine))
}

// doctorResult is what doctor prints with --json.
type doctorResult struct {
	Findings []report.Finding `json:"findings"` // the worst first
}

// examine examines the host.
func (s *session) examine(ctx context.Context, _ cmdline.None) error {
	judged, err := s.judged()
	if err != nil {
		return err
	}
	found, err := s.reportHost().Examine(ctx, judged)
	if err != nil {
		return err
	}
	result, text := doctorResult{Findings: report.FindingsOf(found)}, "nothing found\n"
	if len(found) > 0 {
		text = report.FindingsText(s.Screen(), result.Findings)
	}
	if err := s.Answer(result, text); err != nil || len(report.Broken(found)) == 0 {
		return err
	}
	return cmdline.ExitSilently(exitFailed)
}

// judged returns the config to judge by: what apply would read, or where nobody named one,
// and there is none or it is bad, that of the generation that boot ends up with.
func (s *session) judged() (report.Judged, error) {
	plan, err := s.load()
	judged := report.Judged{Ask: true, Config: plan.Config, Paths: change.PathsBelow(s.root, s.config, plan.Files)}
	if err == nil || s.config != filepath.Join(s.root, paths.Config) {
		return judged, err
	}
	boot := s.store().Wanted().Boot
	if boot.Number == 0 {
		return judged, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		judged.Bad = errors.New(report.FirstOf(err))
	}
	var old error
	if judged.Config, old = config.ParseGeneration(boot.Number, boot.Config); old != nil { // of an older natspread
		return judged, errors.Join(err, old)
	}
	return judged, nil
}
