package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/restore"
)

// applyVerb describes apply.
func (s *session) applyVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "apply",
		Usage: "make the config true, now and at every boot",
		Description: "Checks the config, proves its rules, writes them as a new generation, loads them\n" +
			"in one transaction, reads them back, makes them what boot loads, and switches\n" +
			"forwarding on. When a step fails, everything is as it was before.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "check, prove, and show what would change, but write and load nothing"},
			&cli.StringFlag{Name: "confirm", Usage: "take it back after this `TIME`, such as 60s, unless natspread confirm keeps it"},
			&cli.BoolFlag{Name: "exclusive", Usage: "replace the whole nat table, everyone else's rules too, after listing them"},
			&cli.BoolFlag{Name: "yes", Usage: "with --exclusive: remove what is listed, without a question"},
		},
	}, "natspread apply --dry-run && natspread apply --confirm 60s", s.apply)
}

// applyResult is what apply, restore and stop print with --json.
type applyResult struct {
	Changed    bool     `json:"changed"`              // false when there was nothing to do
	DryRun     bool     `json:"dry_run,omitempty"`    // apply only: proven, and nothing else
	Generation int      `json:"generation,omitempty"` // the current one; not with stop
	Variant    string   `json:"variant"`              // of iptables: nft, legacy
	Removed    []string `json:"removed,omitempty"`    // apply only: lines that were not natspread's and vanished by --exclusive
	Forgotten  int      `json:"forgotten,omitempty"`  // connection tracking entries deleted, so that the next packet meets the new rules
	Notes      []string `json:"notes,omitempty"`      // what the administrator should know, a sentence each
	Confirm    int      `json:"confirm,omitempty"`    // apply only: the generation waits, for so many seconds, to be confirmed

	Diff *diffResult `json:"diff,omitempty"` // with --dry-run: what apply would change
}

// apply applies.
func (s *session) apply(ctx context.Context, o options) error {
	if err := needRights("apply"); err != nil {
		return err
	}
	if o.dryRun { // which takes no lock, as that leaves a trace
		return s.rehearse(ctx, o)
	}
	if o.exclusive && !o.yes {
		return s.applyAgreed(ctx, o)
	}
	c, unlock, err := s.loadLocked(ctx, o)
	if err != nil {
		return err
	}
	defer unlock()
	if o.confirm > 0 {
		return s.try(ctx, o, c)
	}
	request, err := s.exclusively(ctx, o, c, c.request("apply", false))
	if err != nil {
		return err
	}
	return s.applyRequest(ctx, o, c, request)
}

// applyAgreed applies what may have to be agreed to before. Nobody waits for the answer,
// so the config may be another one by then.
func (s *session) applyAgreed(ctx context.Context, o options) error {
	shown, err := s.load(o)
	if err != nil {
		return err
	}
	request, err := s.exclusively(ctx, o, shown, shown.request("apply", false))
	if err != nil {
		return err
	}
	unlock, err := s.host(o).LockEdit(ctx)
	if err != nil {
		return nothingChanged(err)
	}
	defer unlock()
	if o.config != "-" {
		now, err := s.load(o)
		if err != nil {
			return err
		}
		if !bytes.Equal(now.text, shown.text) {
			return fmt.Errorf("%s was edited while the question waited; nothing was changed: apply again", o.config)
		}
	}
	return s.applyRequest(ctx, o, shown, request)
}

// applyRequest applies what is requested of a config, and says so.
func (s *session) applyRequest(ctx context.Context, o options, c checked, request restore.Request) error {
	result, err := s.hostFor(o, c).Apply(ctx, request)
	if err != nil {
		return err
	}
	s.noteDropped(ctx, o, c.config, c.tables, &result)
	return s.applied(o, c, result)
}

// noteDropped adds to the notes of a result what FORWARD drops of its connections.
func (s *session) noteDropped(ctx context.Context, o options, cfg config.Config, tables rules.Tables, result *restore.Result) {
	for _, finding := range s.dropped(ctx, o, result.Variant, cfg, tables) {
		result.Notes = append(result.Notes, strings.Join(append([]string{finding.What}, mending(finding)...), "; "))
	}
}

// rehearse proves the config, and shows what apply would change.
func (s *session) rehearse(ctx context.Context, o options) error {
	c, err := s.load(o)
	if err != nil {
		return err
	}
	request, err := s.exclusively(ctx, o, c, c.request("apply", true))
	if err != nil {
		return err
	}
	result, err := s.hostFor(o, c).Apply(ctx, request)
	if err != nil {
		return err
	}
	changes, err := s.compareKernel(ctx, o, c)
	if err != nil {
		return nothingChanged(err)
	}
	changes.removeForeign(result.Removed.Len())
	if o.json {
		printed, filled := resultOf(o, result), changes.filled()
		printed.Diff = &filled
		err = s.printJSON(printed)
	} else {
		err = s.print(s.diffText(o, changes))
	}
	s.tellDiff(o, "apply would bring", changes)
	if pending, err := o.store().Pending(); err == nil {
		s.tell(o, "as yet apply is refused: %v", pending)
	}
	s.tell(o, "dry run: %s, proven with the %s variant of iptables; nothing was changed", c.summary(), result.Variant)
	return err
}

// try applies for some time, unless it is confirmed.
func (s *session) try(ctx context.Context, o options, c checked) error {
	arm, guard := s.arm(o)
	result, err := s.hostFor(o, c).Try(ctx, c.request("apply --confirm", false), restore.Trial{For: o.confirm, Arm: arm})
	if err != nil {
		return err
	}
	s.noteDropped(ctx, o, c.config, c.tables, &result)
	if err := s.applied(o, c, result); err != nil || !result.Changed {
		return err
	}
	s.tell(o, "to keep it, within %s and from any session: natspread confirm", short(o.confirm))
	s.tell(o, "to take it back at once: natspread rollback; else it is taken back by %s", guard.words)
	return nil
}

// request asks the boot path to make a config true.
func (c checked) request(command string, dryRun bool) restore.Request {
	return restore.Request{Tables: c.tables, Config: c.text, Command: command, Now: time.Now(), DryRun: dryRun}
}

// applied says what apply did.
func (s *session) applied(o options, c checked, result restore.Result) error {
	switch {
	case !result.Changed:
		s.tell(o, "no change: generation %d is loaded already", result.Generation)
	case o.confirm > 0:
		s.tell(o, "loaded generation %d for %s: %s, by the %s variant of iptables", result.Generation, short(o.confirm), c.summary(), result.Variant)
	default:
		s.tell(o, "applied generation %d: %s, by the %s variant of iptables", result.Generation, c.summary(), result.Variant)
	}
	return s.printResult(o, result)
}

// printResult prints the notes of a result, and with --json all of it.
func (s *session) printResult(o options, result restore.Result) error {
	if result.DeletedEntries > 0 {
		s.tell(o, "forgot %s: the next packet of each meets the rules as they are now", plural(result.DeletedEntries, "tracked connection"))
	}
	for _, note := range result.Notes {
		s.tell(o, "note: %s", note)
	}
	if !o.json {
		return nil
	}
	return s.printJSON(resultOf(o, result))
}

// resultOf is a result as --json prints it.
func resultOf(o options, result restore.Result) applyResult {
	printed := applyResult{
		Changed: result.Changed && !o.dryRun, DryRun: o.dryRun,
		Generation: result.Generation, Variant: string(result.Variant),
		Removed: removedLines(result.Removed), Forgotten: result.DeletedEntries, Notes: result.Notes,
	}
	if printed.Changed {
		printed.Confirm = int(o.confirm.Seconds())
	}
	return printed
}
