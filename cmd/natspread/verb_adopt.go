package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/adopt"
	"natspread/internal/adopt/host"
	"natspread/internal/change"
	"natspread/internal/cmdline"
)

// adoptVerb describes adopt.
func (s *session) adoptVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "adopt",
		Usage:     "make a config of the balancing rules that this host has",
		ArgsUsage: "[SAVED]",
		Description: "Reads the live rules, or what iptables-save SAVED (- is standard input), and\n" +
			"prints a config that does the same. What was taken, left and refused stands on\n" +
			"standard error. Exits 1 when something was refused, or when a choice is open and\n" +
			"there is no terminal.",
		Flags: append(familyFlags("the file is one of"),
			&cli.StringFlag{Name: "o", Usage: "write the config to this `FILE`, which must not exist"},
			&cli.StringSliceFlag{Name: "listen", Usage: "for rules without -d: `ADDRESS` or '*'; may be given again"},
			&cli.StringFlag{Name: "shares", Usage: "for rules that make other shares than meant: `SHARES` is meant, made or kept"},
			&cli.StringFlag{Name: "snat", Usage: "for backends that a rule with -o may be for: `SNAT` is masquerade, none or an address"},
			&cli.StringSliceFlag{Name: "except", Usage: "leave the service `NAME` out: its rules stay; may be given again"},
			&cli.BoolFlag{Name: "apply", Usage: "write the config, load it, and take the old rules out, until natspread confirm for 60s"},
			&cli.StringFlag{Name: "confirm", Usage: "with --apply: revert it after this `DURATION`, such as 5m"},
			&cli.BoolFlag{Name: "yes", Usage: "with --apply: ask nothing, and keep it"},
		),
	}, "natspread adopt -o natspread.toml\n  natspread adopt rules.v4 --listen 192.0.2.10", readAdopt, s.adopt)
}

// adoptOptions are the flags of adopt.
type adoptOptions struct {
	host.Source
	adopt.Choices
	output     string
	apply, yes bool
	confirm    time.Duration // how long a trial lasts
}

// readAdopt reads them.
func readAdopt(c *cli.Context) (o adoptOptions, err error) {
	o.File, o.output, o.apply, o.yes = c.Args().First(), c.String("o"), c.Bool("apply"), c.Bool("yes")
	o.Choices = adopt.Choices{Listen: c.StringSlice("listen"), Shares: c.String("shares"), SNAT: c.String("snat"), Except: c.StringSlice("except")}
	if o.Families, err = readFamilies(c); err != nil {
		return o, err
	}
	if o.confirm, err = cmdline.Duration(c, "confirm"); err != nil {
		return o, err
	}
	return o, cmp.Or(
		cmdline.RefuseIf(o.Wrong() != "", o.Wrong()),
		cmdline.RefuseIf(o.apply && o.File != "", "--apply takes the live rules out, and a file has none: give one of them"),
		cmdline.RefuseIf(o.apply && o.output != "", "--apply writes the config that natspread reads, and -o another one: give one of them"),
		cmdline.RefuseIf(!o.apply && (o.yes || o.confirm > 0), "--confirm and --yes go with --apply"),
		cmdline.RefuseIf(o.yes && o.confirm > 0, "--yes keeps what --confirm would revert: give one of them"),
	)
}

// adopt makes a config of the rules.
func (s *session) adopt(ctx context.Context, o adoptOptions) error {
	if o.File == "" {
		if err := needRights("adopt"); err != nil {
			return err
		}
	}
	s.Doing("comparing the rules with a config that is made of them")
	found, err := host.Adopt(ctx, host.Host{Run: s.traced(), Root: s.root, Kernel: s.host().Kernel, In: s.In, Choose: s.Choose}, o.Source, o.Choices)
	if err != nil {
		return err
	}
	s.PrintLines(found.Lines(o.apply))
	if o.apply && found.Text != nil {
		return s.adoptLive(ctx, o, found)
	}
	if err = s.writeAdopted(o, found); err == nil && (found.Text == nil || !found.Whole()) {
		return cmdline.ExitSilently(exitFailed)
	}
	return err
}

// writeAdopted writes the config, or prints it. No file gets one that lacks a service whose choice is open.
func (s *session) writeAdopted(o adoptOptions, found host.Found) error {
	switch {
	case found.Text == nil, o.output != "" && len(found.Questions) > 0:
		if o.output != "" {
			s.Printf("%s was not written", o.output)
		}
		return s.Answer(found.Report("", ""), "")
	case o.output == "":
		return s.Answer(found.Report("stdout", string(found.Text)), string(found.Text))
	}
	if err := change.Create(o.output, found.Text); err != nil {
		return nothingChanged(err)
	}
	s.Printf("wrote %s: natspread --config %s check", o.output, o.output)
	return s.Answer(found.Report(o.output, ""), "")
}

// adoptLive writes the config, loads it and takes out what it replaces.
func (s *session) adoptLive(ctx context.Context, o adoptOptions, found host.Found) error {
	if err := errors.Join(s.needKernel("adopt"), found.CanApply()); err != nil {
		return nothingChanged(err)
	}
	s.PrintLines(found.Proposal(s.config))
	if !o.yes {
		if err := s.ask(ctx, "load the config's rules, and take these out?", nil); err != nil {
			return err
		}
	}
	unlock, err := s.host().LockEdit(ctx)
	if err != nil {
		return nothingChanged(err)
	}
	defer unlock()
	before, _ := os.ReadFile(s.config)
	again := found.IsMade(before) // as a trial that was not confirmed left it
	switch {
	case again:
	case len(before) > 0:
		return nothingChanged(fmt.Errorf("%s exists already, and adopt would write another one: move it away first (to leave a service out: --except NAME)", s.config))
	default:
		if err := change.Create(s.config, found.Text); err != nil {
			return nothingChanged(err)
		}
	}
	err = s.applyAdopted(ctx, o, found, unlock)
	if err != nil && !again && !change.IsKept(s.store(), found.Text) { // nothing was loaded
		err = errors.Join(err, os.Remove(s.config))
	}
	return err
}

// applyAdopted loads the config that was written, with the files in conf.d, for a while or to stay.
func (s *session) applyAdopted(ctx context.Context, o adoptOptions, found host.Found, unlock func()) error {
	plan, err := s.load()
	if err != nil {
		return err
	}
	request := plan.Request("adopt")
	request.TakeOut = found.Taken()
	if o.yes {
		return s.applyRequest(ctx, applyOptions{}, plan, request, unlock)
	}
	return s.try(ctx, applyOptions{confirm: cmp.Or(o.confirm, time.Minute)}, plan, request)
}
