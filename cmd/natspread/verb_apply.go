package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/report"
	"natspread/internal/rules"
	"natspread/internal/text"
	"natspread/restore"
)

// applyVerb describes apply.
func (s *session) applyVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "apply",
		Usage: "load the config's rules now and at every boot",
		Description: "Checks the config, proves its rules, writes them as a new generation, loads them\n" +
			"in one transaction, reads them back, makes them what boot loads, and switches\n" +
			"forwarding on. When a step fails, everything is as it was before.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "check, prove, and show what would change, but write and load nothing"},
			&cli.StringFlag{Name: "confirm", Usage: "revert it after this `DURATION`, such as 60s, unless natspread confirm keeps it"},
			&cli.BoolFlag{Name: "exclusive", Usage: "replace the whole nat table, everyone else's rules too, after listing them"},
			&cli.BoolFlag{Name: "yes", Usage: "ask nothing: remove what --exclusive lists, and take the port of this ssh connection"},
		},
	}, "natspread apply --dry-run && natspread apply --confirm 60s", readApply, s.apply)
}

// applyOptions are the flags of apply.
type applyOptions struct {
	dryRun, exclusive, yes bool
	edited                 bool          // by edit: the file was written just before
	confirm                time.Duration // 0 without
}

// readApply reads them.
func readApply(c *cli.Context) (applyOptions, error) {
	confirm, err := cmdline.Duration(c, "confirm")
	if err != nil {
		return applyOptions{}, err
	}
	o := applyOptions{dryRun: c.Bool("dry-run"), exclusive: c.Bool("exclusive"), yes: c.Bool("yes"), confirm: confirm}
	return o, cmdline.RefuseIf(o.exclusive && o.confirm > 0, "--exclusive and --confirm exclude each other: what --exclusive removes is not loaded again later")
}

// apply applies the config.
func (s *session) apply(ctx context.Context, o applyOptions) error {
	if o.dryRun { // which changes nothing, and takes no lock, as that leaves a trace
		return s.dryRun(ctx, o)
	}
	if err := s.needKernel("apply"); err != nil {
		return err
	}
	plan, unlock, err := s.loadLocked(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if o.confirm > 0 {
		return s.try(ctx, o, plan, plan.Request("apply --confirm"))
	}
	taken, err := s.takesLogin(ctx, o.yes, plan.Config)
	if err != nil {
		return err
	}
	if taken != "" || o.exclusive && !o.yes {
		unlock() // nobody waits for an answer
		return s.applyConfirmed(ctx, o, plan, taken)
	}
	request, err := s.confirmExclusive(ctx, o, plan, plan.Request("apply"))
	if err != nil {
		return err
	}
	return s.applyRequest(ctx, o, plan, request, unlock)
}

// applyConfirmed asks whether to apply a config, and does so if nobody edited it meanwhile.
func (s *session) applyConfirmed(ctx context.Context, o applyOptions, shown change.Plan, taken string) error {
	if err := s.askLogin(ctx, taken); err != nil {
		return err
	}
	request, err := s.confirmExclusive(ctx, o, shown, shown.Request("apply"))
	if err != nil {
		return err
	}
	unlock, err := s.host().LockEdit(ctx)
	if err != nil {
		return nothingChanged(err)
	}
	defer unlock()
	if now, err := s.readConfig(); s.config != "-" && (err != nil || !now.Equal(shown.Files)) {
		return fmt.Errorf("%s was edited while the question waited; nothing was changed: apply again", s.config)
	}
	return s.applyRequest(ctx, o, shown, request, unlock)
}

// applyRequest applies what is requested of a config, and says so. It gives back the lock of
// those who edit once the rules are loaded.
func (s *session) applyRequest(ctx context.Context, o applyOptions, plan change.Plan, request restore.Request, unlock func()) error {
	ahead := s.reportHost().Ahead(plan.Config)
	s.Doing("proving and loading %s", plan.Summary())
	result, err := change.Apply(ctx, s.changingHost(), request)
	if err != nil {
		return err
	}
	result.NoteIfChanged(ahead.Moves)
	s.noteRemaining(ctx, plan.Config, plan.Tables, &result)
	unlock() // nobody need wait for systemd
	s.printApplied(plan, ahead, result)
	s.startUnit(ctx, plan.Config, &result)
	result.Changed = result.Changed || o.edited
	return s.printResult(result, ahead)
}

// noteRemaining adds to the notes of a result what it could not fix, and which services
// refuse their clients now.
func (s *session) noteRemaining(ctx context.Context, cfg config.Config, tables rules.Tables, result *restore.Result) {
	result.Notes = append(result.Notes, s.reportHost().NotesAfter(ctx, cfg, tables)...)
}

// printApplied says what apply did.
func (s *session) printApplied(plan change.Plan, ahead report.Ahead, result restore.Result) {
	if !result.Changed {
		s.Printf("no change: generation %d is %s", result.Generation, result.There())
		return
	}
	s.Printf("applied generation %d: %s%v, by the %s variant of iptables", result.Generation, plan.Summary(), ahead, result.Variant)
}

// dryRun proves the config, and shows what apply would change.
func (s *session) dryRun(ctx context.Context, o applyOptions) error {
	if err := needRights("apply"); err != nil {
		return err
	}
	plan, err := s.load()
	if err != nil {
		return err
	}
	request := plan.Request("apply")
	request.DryRun = true
	if request, err = s.confirmExclusive(ctx, o, plan, request); err != nil {
		return err
	}
	s.Doing("proving %s", plan.Summary())
	result, err := s.host().Apply(ctx, request)
	if err != nil {
		return err
	}
	changes, err := s.reportHost().Diff(ctx, wantedOf(plan, rules.Families()))
	if err != nil {
		return nothingChanged(err)
	}
	changes.RemoveForeign(result.Removed.Len())
	if pending, err := s.store().Pending(); err == nil {
		result.Notes = append(result.Notes, fmt.Sprintf("apply would be refused now: %v", pending))
	}
	if err := s.printDryRun(result, changes); err != nil {
		return err
	}
	s.PrintLines(changes.Summary("apply would bring"))
	s.printNotes(result)
	s.Printf("dry run: %s, proven with the %s variant of iptables; nothing was changed", plan.Summary(), result.Variant)
	return nil
}

// printDryRun prints what apply would change.
func (s *session) printDryRun(result restore.Result, changes report.Diff) error {
	printed, filled := resultOf(result), changes.Filled()
	printed.Changed, printed.DryRun, printed.Diff = false, true, &filled
	return s.Answer(printed, changes.Text(s.Screen(), s.Verbose))
}

// try applies for some time, unless it is confirmed.
func (s *session) try(ctx context.Context, o applyOptions, plan change.Plan, request restore.Request) error {
	timer := s.revertTimer()
	ahead := s.reportHost().Ahead(plan.Config)
	s.Doing("proving and loading %s", plan.Summary())
	result, err := change.Try(ctx, s.changingHost(), request, restore.Trial{For: o.confirm, Schedule: timer.Start})
	if err != nil {
		return err
	}
	result.NoteIfChanged(ahead.Moves)
	s.noteRemaining(ctx, plan.Config, plan.Tables, &result)
	s.noteWatcher(ctx, plan.Config, &result)
	printed := resultOf(result)
	if !result.Changed {
		s.printApplied(plan, ahead, result)
	} else {
		printed.ConfirmSeconds, printed.Changes = int(o.confirm.Seconds()), ahead.Changes
		s.Printf("loaded generation %d for %s: %s%v, by the %s variant of iptables", result.Generation, text.Duration(o.confirm), plan.Summary(), ahead, result.Variant)
	}
	s.printNotes(result)
	if err := s.Answer(printed, ""); err != nil {
		return unprinted(result, err)
	}
	if result.Changed {
		s.Printf("to keep it, within %s and from any terminal: natspread confirm", text.Duration(o.confirm))
		s.Printf("to revert it at once: natspread rollback; else it is reverted by %s", timer)
	}
	return nil
}
