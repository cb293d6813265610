package main

import (
	"context"
	"errors"
	"os/signal"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/failure"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore"
)

// editVerb describes edit.
func (s *session) editVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "edit",
		Usage:     "edit a copy of the config, check it, and apply it",
		ArgsUsage: "[FILE]",
		Description: "Opens a copy in $VISUAL or $EDITOR, else in the editor of the system. FILE is\n" +
			"one of conf.d, as in conf.d/web.toml; without it natspread.toml is edited. If\n" +
			"the copy is wrong, edit prints its errors, and asks whether to edit it again. A\n" +
			"good copy replaces the file, which keeps its owner and its mode. Then edit shows\n" +
			"what apply would change, and asks whether to apply it.",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "yes", Usage: "ask nothing: apply a good copy, and keep a wrong one"}},
	}, "natspread edit\n  natspread edit conf.d/web.toml", readEdit, cmdline.Guarded(s.needKernel, "edit", s.editConfig))
}

// editOptions are the flags of edit.
type editOptions struct {
	yes  bool
	file string // of conf.d; "" for natspread.toml
}

// readEdit reads them.
func readEdit(c *cli.Context) (editOptions, error) {
	return editOptions{yes: c.Bool("yes"), file: c.Args().First()}, cmdline.RefuseIf(c.String("config") == "-", "edit edits the config, which cannot be standard input: name its file")
}

// editConfig edits the config.
func (s *session) editConfig(ctx context.Context, o editOptions) error {
	copied, err := change.NewCopy(s.config, o.file)
	if err != nil {
		return nothingChanged(err)
	}
	ctx, stop, plan, changed, err := s.editCopy(ctx, o, copied)
	defer stop()
	if err == nil && changed {
		err = s.saveCopy(ctx, copied, plan)
	}
	if err != nil {
		return s.stopHalfway(restore.Result{Notes: []string{"nothing was changed; what was edited is in " + copied.File}}, nil, err)
	}
	copied.Remove()
	if !changed {
		s.Printf("no change: %s is as it was", copied.Of)
		return s.Answer(changeResult{}, "")
	}
	s.Printf("wrote %s", copied.Of)
	return s.applyEdited(ctx, o, plan)
}

// applyEdited applies the config that was written, if that is wanted. It stays written in any case.
func (s *session) applyEdited(ctx context.Context, o editOptions, plan change.Plan) error {
	err := s.wantsEdit(ctx, o, plan)
	if errors.Is(err, errNotConfirmed) {
		s.Printf("it is not applied: natspread apply does that")
		return s.Answer(changeResult{Changed: true}, "")
	}
	if err == nil {
		err = s.apply(ctx, applyOptions{yes: o.yes, edited: true})
	}
	if err != nil && !failure.Of(err, 0).Changed {
		return s.stopHalfway(restore.Result{Changed: true, Notes: []string{"the config is written all the same, and not applied: " + s.config}}, nil, err)
	}
	return err
}

// editCopy has the copy edited until it is good, or nobody wants to go on. An interruption while the
// editor runs is for the editor, so the returned context ends only by a later one.
func (s *session) editCopy(ctx context.Context, o editOptions, copied change.Copy) (_ context.Context, stop func(), plan change.Plan, changed bool, err error) {
	for stop = func() {}; ; {
		err = program.Edit(copied.File, s.In, s.Out, s.Err)
		stop()
		ctx, stop = signal.NotifyContext(context.WithoutCancel(ctx), interruptions()...)
		if err == nil {
			plan, changed, err = copied.Load()
		}
		if err == nil || o.yes || !s.Asks() {
			return ctx, stop, plan, changed, err
		}
		s.complain(err)
		if s.ask(ctx, "edit it again?", nil) != nil {
			return ctx, stop, plan, false, cmdline.ExitSilently(exitCode(err))
		}
	}
}

// saveCopy puts what was edited into the config.
func (s *session) saveCopy(ctx context.Context, copied change.Copy, plan change.Plan) error {
	unlock, err := s.host().LockEdit(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return copied.Save(plan)
}

// wantsEdit shows what apply would change, and asks whether to apply it. Where nobody can answer it is
// not confirmed.
func (s *session) wantsEdit(ctx context.Context, o editOptions, plan change.Plan) error {
	changes, err := s.reportHost().Diff(ctx, wantedOf(plan, rules.Families()))
	if err != nil {
		return err
	}
	if !s.JSON {
		if err := s.Print(changes.Text(s.Screen(), s.Verbose)); err != nil {
			return err
		}
	}
	s.PrintLines(changes.Summary("apply would bring"))
	if o.yes {
		return nil
	}
	return s.ask(ctx, "apply it?", errNotConfirmed)
}
