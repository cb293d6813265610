package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/report"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// diffVerb describes diff.
func (s *session) diffVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "diff",
		Usage:     "compare the kernel's rules with what the config wants",
		ArgsUsage: "[N] [M]",
		Description: "Prints what apply would change, service by service: backends that come (+) and\n" +
			"go (-), weights and shares before and after, other settings that change; and\n" +
			"what status reports as broken. With -v a unified diff of the rules follows: - is\n" +
			"in the kernel, + is what apply would load.\n" +
			"Exits 0 when there is no difference, 1 when there is one, and 2, or the code of\n" +
			"the cause, after an error. With --saved it compares with a file that\n" +
			"iptables-save wrote, by rules only; that takes no rights, and -6 says that it is\n" +
			"one of IPv6. With generations it compares these: N with M, or N with the one\n" +
			"that is current.",
		Flags: append(familyFlags("compare only"),
			&cli.StringFlag{Name: "saved", Usage: "compare with this `FILE` of iptables-save; - is standard input"},
		),
	}, "natspread diff -v\n  natspread diff 3 4", readDiff, s.diff)
}

// diffOptions are the flags of diff.
type diffOptions struct {
	families []rules.Family
	saved    string
	numbers  []int // of generations
}

// readDiff reads them.
func readDiff(c *cli.Context) (o diffOptions, err error) {
	o.saved = c.String("saved")
	if o.families, err = readFamilies(c); err != nil {
		return diffOptions{}, err
	}
	if o.numbers, err = readGenerations(c); err != nil {
		return diffOptions{}, cmdline.UsageErrorf("%v; a file goes behind --config or --saved", err)
	}
	return o, cmp.Or(
		cmdline.RefuseIf(c.String("config") == "-" && o.saved == "-", "--config and --saved cannot both be -: there is one standard input"),
		cmdline.RefuseIf(len(o.numbers) > 0 && o.saved != "", "--saved and a generation exclude each other: give one of them"),
	)
}

// diff compares.
func (s *session) diff(ctx context.Context, o diffOptions) error {
	if len(o.numbers) > 0 {
		return s.diffGenerations(o)
	}
	if o.saved == "" {
		if err := needRights("diff"); err != nil {
			return err
		}
	}
	plan, err := s.load()
	if err != nil {
		return err
	}
	var result report.Diff
	if o.saved != "" {
		result, err = s.diffSaved(o, plan)
	} else {
		result, err = s.reportHost().Diff(ctx, wantedOf(plan, o.families))
	}
	if err != nil {
		return troubled(err)
	}
	return s.printDiff("apply would bring", result)
}

// wantedOf returns what a config asks for, as a side of a comparison.
func wantedOf(plan change.Plan, families []rules.Family) report.Wanted {
	return report.Wanted{Name: plan.Name, Config: plan.Config, Files: plan.Files, Tables: plan.Tables, Families: families}
}

// diffGenerations compares two generations, or one with the current one.
func (s *session) diffGenerations(o diffOptions) error {
	from, to, err := s.twoGenerations(o)
	if err != nil {
		return troubled(err)
	}
	return s.printDiff(fmt.Sprintf("generation %d brings to generation %d", to.Number, from.Number), report.DiffGenerations(from, to, o.families))
}

// twoGenerations returns the two that are to be compared.
func (s *session) twoGenerations(o diffOptions) (from, to generation.Generation, err error) {
	if from, err = s.store().Find(o.numbers[0]); err != nil {
		return from, to, err
	}
	if len(o.numbers) == 1 {
		to, err = s.store().Current()
		return from, to, err
	}
	to, err = s.store().Find(o.numbers[1])
	return from, to, err
}

// diffSaved compares a file of iptables-save, which is of one family, with what a config
// wants.
func (s *session) diffSaved(o diffOptions, plan change.Plan) (report.Diff, error) {
	text, err := report.ReadSaved(o.saved, s.In)
	if err != nil {
		return report.Diff{}, fmt.Errorf("cannot read --saved %s: %w", o.saved, err)
	}
	result, err := report.DiffSaved(o.saved, text, wantedOf(plan, o.families[:1]))
	if err != nil {
		return report.Diff{}, fmt.Errorf("cannot read --saved %s: %w: write it with iptables-save", o.saved, err)
	}
	return result, nil
}

// printDiff prints a difference and a summary, and exits as diff(1) does. who brings
// the change.
func (s *session) printDiff(who string, result report.Diff) error {
	if err := s.Answer(result.Filled(), result.Text(s.Screen(), s.Verbose)); err != nil {
		return troubled(err)
	}
	s.PrintLines(result.Summary(who))
	if !result.Differ {
		return nil
	}
	return cmdline.ExitSilently(exitFailed)
}

// troubled gives trouble the exit code that diff(1) uses, as 1 means a difference.
func troubled(err error) error {
	if code := exitCode(err); code != exitFailed {
		return err
	}
	return cmdline.Coded(exitUsage, err)
}
