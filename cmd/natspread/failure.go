package main

import (
	"errors"

	"natspread/internal/cmdline"
	"natspread/internal/failure"
	"natspread/restore"
)

// stopHalfway is failure.Halfway, and says what was done, and the notes.
func (s *session) stopHalfway(result restore.Result, done []string, err error) error {
	s.PrintLines(done)
	s.printNotes(result)
	return failure.Halfway(result, done, err)
}

// printFailure prints what went wrong for programs, if they asked, also where what was typed is
// not understood. A verb that has printed its result fails with cmdline.ErrSilent, and prints
// nothing more. That a failure cannot be printed changes nothing: the exit code tells of it.
func (s *session) printFailure(args []string, err error) {
	if err == nil || errors.Is(err, cmdline.ErrSilent) || !s.JSON && !cmdline.Given(args, "json") {
		return
	}
	_ = s.PrintJSON(failure.Of(err, exitCode(err)))
}
