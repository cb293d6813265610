package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/restore"
)

// doctorVerb describes doctor.
func (s *session) doctorVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "doctor",
		Usage: "find what on this host keeps the balancer from working",
		Description: "Prints a line for each finding, the worst first, and below it the line that\n" +
			"mends it. Exits 1 when something is broken, or will be at boot; risks alone\n" +
			"exit 0. It judges by the config; without a good one, by what was applied.\n" +
			"Nothing is changed.",
	}, "natspread doctor", s.examine)
}

// doctorResult is what doctor prints with --json.
type doctorResult struct {
	Findings []doctorFinding `json:"findings"` // the worst first
}

// doctorFinding is one finding of doctor's.
type doctorFinding struct {
	Severity doctor.Severity `json:"severity"` // broken, at boot, risk
	What     string          `json:"what"`
	Mend     string          `json:"mend"` // the line to type; "" where there is none
}

// examine examines the host.
func (s *session) examine(ctx context.Context, o options) error {
	if err := needRights("doctor"); err != nil {
		return err
	}
	balancer, err := s.balancer(ctx, o)
	if err != nil {
		return err
	}
	result := doctorResult{Findings: []doctorFinding{}}
	bad := false
	for _, f := range o.doctor().Examine(balancer) {
		result.Findings = append(result.Findings, doctorFinding{f.Severity, oneLine(f.What), oneLine(f.Fix)})
		bad = bad || f.Severity != doctor.Risk
	}
	if o.json {
		err = s.printJSON(result)
	} else {
		err = s.print(s.doctorText(o, result))
	}
	if err == nil && bad {
		err = exitSilently(exitFailed)
	}
	return err
}

// doctorText returns the findings for people.
func (s *session) doctorText(o options, result doctorResult) string {
	if len(result.Findings) == 0 {
		return "nothing found\n"
	}
	var text strings.Builder
	for _, f := range result.Findings {
		code := map[doctor.Severity]string{doctor.Broken: "31", doctor.AtBoot: "33", doctor.Risk: "36"}[f.Severity]
		fmt.Fprintf(&text, "%s: %s\n", s.paint(o, code, string(f.Severity)), f.What)
		if f.Mend != "" {
			fmt.Fprintf(&text, "  to mend it: %s\n", f.Mend)
		}
	}
	return text.String()
}

// balancer returns what doctor is to judge by.
func (s *session) balancer(ctx context.Context, o options) (doctor.Balancer, error) {
	host := s.host(o)
	kernel, err := host.Kernel(ctx)
	if err != nil {
		return doctor.Balancer{}, err
	}
	generation, files, current := currentOf(restore.Store{Root: o.root})
	cfg, unusable, err := s.judgedBy(o, current)
	if err != nil {
		return doctor.Balancer{}, err
	}
	balancer := s.packetsOf(ctx, o, cfg)
	balancer.ConfigBad, balancer.Pending = unusable, pendingOf(restore.Store{Root: o.root})
	balancer.Generation, balancer.Variant, balancer.State = generation, string(kernel.Variant), files
	balancer.Config = o.configBelow()
	native, err := host.NativeRules(ctx)
	balancer.Native, balancer.Unread = native, errors.Join(balancer.Unread, err)
	return balancer, nil
}

// packetsOf returns the part of a balancer that says which packets a config makes, and
// which rules they meet.
func (s *session) packetsOf(ctx context.Context, o options, cfg config.Config) doctor.Balancer {
	rulesets, err := s.host(o).Rulesets(ctx)
	return doctor.Balancer{Services: cfg.Services, Rulesets: rulesets, Unread: err}
}

// configBelow returns where the config is below the root, "" where it is not, or no
// file at all.
func (o options) configBelow() string {
	path, err := filepath.Abs(o.config)
	if err != nil || o.config == "-" {
		return ""
	}
	below, err := filepath.Rel(o.root, path)
	if err != nil || !filepath.IsLocal(below) {
		return ""
	}
	return below
}

// currentOf returns what doctor is told of the current generation, the files that it
// is in, and the generation itself where it is good.
func currentOf(store restore.Store) (doctor.Generation, []string, restore.Generation) {
	number, err := store.CurrentNumber()
	switch {
	case errors.Is(err, restore.ErrNone):
		return doctor.Generation{}, nil, restore.Generation{}
	case err != nil:
		return doctor.Generation{Bad: err}, nil, restore.Generation{}
	}
	generation, err := store.Read(number)
	return doctor.Generation{Number: number, Variant: string(generation.Variant), Bad: err}, store.Files(number), generation
}

// pendingOf returns what doctor is told of a generation that waits to be confirmed.
func pendingOf(store restore.Store) doctor.Pending {
	pending, err := store.Pending()
	switch {
	case errors.Is(err, restore.ErrNothingPending):
		return doctor.Pending{}
	case err != nil:
		return doctor.Pending{Bad: err}
	}
	return doctor.Pending{Number: pending.Generation, Over: pending.Left() < 0}
}

// judgedBy returns the config: what apply would read, or where nobody named one, and
// there is none or it is bad, that of the current generation. unusable is why a config
// that is there is not the one.
func (s *session) judgedBy(o options, current restore.Generation) (cfg config.Config, unusable, err error) {
	loaded, err := s.load(o)
	if err == nil || o.config != filepath.Join(o.root, configPath) || current.Generation == 0 {
		return loaded.config, nil, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		unusable = errors.New(firstOf(err))
	}
	cfg, old := config.Parse(fmt.Sprintf("generation %d's config", current.Generation), current.Config)
	if old != nil { // of an older natspread's
		return config.Config{}, nil, errors.Join(err, old)
	}
	return cfg, unusable, nil
}

// firstOf returns the first line of what is wrong with a config, and how much more is.
func firstOf(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	var all config.Errors
	if errors.As(err, &all) && len(all) > 1 {
		first += fmt.Sprintf(" (and %s)", plural(len(all)-1, "error")+" more")
	}
	return first
}
