package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"natspread/internal/cmdline"
	"natspread/internal/failure"
	"natspread/internal/program"
	"natspread/units"
)

// complain says what went wrong, on standard error.
func (s *session) complain(err error) {
	if err == nil || errors.Is(err, cmdline.ErrSilent) {
		return
	}
	s.Line.Clear()
	priority := ""
	if s.inJournal() {
		priority = units.PriorityError
	}
	fmt.Fprintln(s.Err, priority+strings.ReplaceAll(failure.Text(s.ErrScreen(), err), "\n", "\n"+priority))
}

// inJournal tells whether standard error leads to systemd's journal.
func (s *session) inJournal() bool {
	file, ok := s.Err.(*os.File)
	return ok && units.IsJournal(file, os.Getenv(units.JournalVariable))
}

// traced returns the session's runner, which with -v prints each program that
// was run.
func (s *session) traced() program.Runner {
	if !s.Verbose {
		return s.runner
	}
	return program.Traced(s.runner, s.Printf)
}
