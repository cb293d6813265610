package main

import (
	"fmt"

	"natspread/internal/failure"
	"natspread/internal/report"
	"natspread/restore"
)

// changeResult is what apply, confirm, rollback, restore and stop print with --json, and a
// part of what drain and undrain print.
type changeResult struct {
	Changed        bool     `json:"changed"`                   // false when there was nothing to do
	DryRun         bool     `json:"dry_run,omitempty"`         // apply only: proven, and nothing else
	Generation     int      `json:"generation,omitempty"`      // the current one; not with stop
	Variant        string   `json:"variant"`                   // of iptables: nft, legacy
	Removed        []string `json:"removed,omitempty"`         // apply only: lines that were not natspread's and vanished by --exclusive
	DeletedEntries int      `json:"deleted_entries,omitempty"` // connection tracking entries; their next packets match the new rules
	Notes          []string `json:"notes,omitempty"`           // what the administrator should know, a sentence each
	ConfirmSeconds int      `json:"confirm_seconds,omitempty"` // apply only: for so long the generation waits to be confirmed

	Changes *report.Changes `json:"changes,omitempty"` // apply, edit, rollback: how many services; absent where nothing was loaded before, or nothing changed
	Diff    *report.Diff    `json:"diff,omitempty"`    // with --dry-run: what apply would change
}

// resultOf is a result as --json prints it.
func resultOf(result restore.Result) changeResult {
	return changeResult{
		Changed: result.Changed, Generation: result.Generation, Variant: string(result.Variant),
		Removed: result.Removed.Lines(), DeletedEntries: result.DeletedEntries, Notes: result.Notes,
	}
}

// printNotes prints what became of connections, and the notes of a result.
func (s *session) printNotes(result restore.Result) { s.PrintLines(report.NoteLines(result)) }

// printResult prints the notes of a result, and with --json all of it, with what it changed.
func (s *session) printResult(result restore.Result, ahead report.Ahead) error {
	s.printNotes(result)
	printed := resultOf(result)
	if result.Changed {
		printed.Changes = ahead.Changes
	}
	return unprinted(result, s.Answer(printed, ""))
}

// unprinted adds to the error of a result that cannot be printed that what was changed stays
// changed.
func unprinted(result restore.Result, err error) error {
	if err == nil || !result.Changed {
		return err
	}
	return failure.Halfway(result, nil, fmt.Errorf("%w; what was changed stays", err))
}
