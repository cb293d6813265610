package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/text"
	"natspread/restore"
	"natspread/restore/iptables"
	"natspread/units"
)

// failure is what a verb that fails prints with --json, in place of its result.
type failure struct {
	ExitCode int       `json:"exit_code"`
	Changed  bool      `json:"changed"` // whether something is not as it was before
	Errors   []problem `json:"errors"`
	Done     []string  `json:"done,omitempty"`  // install and uninstall: what was done before, a sentence each
	Notes    []string  `json:"notes,omitempty"` // what the administrator should know, a sentence each
}

// problem is one error, as standard error has it, too.
type problem struct {
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"`
	File   string `json:"file,omitempty"` // of a config, as are the line and the column
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// partial is an error of a verb that had done something, or had something to say, before it failed.
type partial struct {
	error
	changed     bool
	done, notes []string
}

// Unwrap returns the error inside.
func (e *partial) Unwrap() error { return e.error }

// halfway is an error that came after a result, and after what was done besides.
func halfway(result restore.Result, done []string, err error) error {
	return &partial{err, result.Changed || units.Changed(done), done, result.Notes}
}

// stopHalfway is halfway, and says what was done, and the notes.
func (s *session) stopHalfway(result restore.Result, done []string, err error) error {
	s.printLines(done)
	s.printNotes(result)
	return halfway(result, done, err)
}

// failureOf describes an error for programs.
func failureOf(err error) failure {
	failed := failure{ExitCode: exitCode(err)}
	if left := new(iptables.NotRevertedError); errors.As(err, &left) {
		failed.Changed = true
	}
	if before := new(partial); errors.As(err, &before) {
		failed.Changed, failed.Done, failed.Notes = failed.Changed || before.changed, before.done, before.notes
	}
	var wrong config.Errors
	if errors.As(err, &wrong) {
		for _, one := range wrong {
			failed.Errors = append(failed.Errors, problem{text.OneLine(one.Message), text.OneLine(one.Fix), one.File, one.Line, one.Column})
		}
		return failed
	}
	what, fix := wordsOf(err)
	failed.Errors = []problem{{What: what, Fix: fix}}
	return failed
}

// fixSign stands in an error before the line that fixes it.
const fixSign = "; fix: "

// wordsOf returns what an error says, and the line that fixes it, "" where there is none.
func wordsOf(err error) (what, fix string) {
	what = text.OneLine(err.Error())
	var fixed *restore.FixError
	if errors.As(err, &fixed) {
		return what, text.OneLine(fixed.Fix)
	}
	at := strings.LastIndex(what, fixSign)
	if at < 0 {
		return what, ""
	}
	const left = "; nothing was changed" // whoever says it does not know of the line
	fix, unchanged := strings.CutSuffix(what[at+len(fixSign):], left)
	if what = what[:at]; unchanged {
		what += left
	}
	return what, fix
}

// printFailure prints what went wrong for programs, if they asked, also where what was typed is
// not understood. A verb that has printed its result fails with cmdline.ErrSilent, and prints
// nothing more. That a failure cannot be printed changes nothing: the exit code tells of it.
func (s *session) printFailure(args []string, err error) {
	if at := slices.Index(args, "--"); at >= 0 { // behind it nothing is a flag
		args = args[:at]
	}
	asked := s.json || slices.ContainsFunc(args, func(arg string) bool {
		name, value, _ := strings.Cut(arg, "=")
		return (name == "--json" || name == "-json") && value != "false"
	})
	if err == nil || errors.Is(err, cmdline.ErrSilent) || !asked {
		return
	}
	_ = s.printJSON(failureOf(err))
}

// printFailureLine is printFailure on a line of its own, for a verb that prints one object
// after the other.
func (s *session) printFailureLine(err error) error {
	line, jsonErr := json.Marshal(failureOf(err))
	if jsonErr != nil {
		return jsonErr
	}
	return s.print(string(line) + "\n")
}
