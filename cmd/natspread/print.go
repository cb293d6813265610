package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"natspread/internal/cmdline"
	"natspread/internal/failure"
	"natspread/internal/program"
	"natspread/internal/terminal"
	"natspread/internal/text"
	"natspread/units"
)

// complain says what went wrong, on standard error.
func (s *session) complain(err error) {
	if err == nil || errors.Is(err, cmdline.ErrSilent) {
		return
	}
	s.line.Clear()
	priority := ""
	if s.inJournal() {
		priority = units.PriorityError
	}
	for line := range strings.Lines(failure.Text(err)) {
		fmt.Fprintln(s.err, priority+strings.TrimSuffix(line, "\n"))
	}
}

// inJournal tells whether standard error leads to systemd's journal.
func (s *session) inJournal() bool {
	file, ok := s.err.(*os.File)
	return ok && units.IsJournal(file, os.Getenv(units.JournalVariable))
}

// printf prints a line on standard error, unless it should be quiet.
func (s *session) printf(format string, args ...any) {
	if !s.quiet {
		s.line.Clear()
		fmt.Fprintln(s.err, text.OneLine(fmt.Sprintf(format, args...)))
	}
}

// doing says on a terminal what is being done, once it has taken a second, until something else
// is printed. The programs that -v prints say as much.
func (s *session) doing(format string, args ...any) {
	if !s.verbose {
		s.line.Doing(text.OneLine(fmt.Sprintf(format, args...)) + "...")
	}
}

// printLines prints lines on standard error.
func (s *session) printLines(lines []string) {
	for _, line := range lines {
		s.printf("%s", line)
	}
}

// traced returns the session's runner, which with -v prints each program that
// was run.
func (s *session) traced() program.Runner {
	if !s.verbose {
		return s.runner
	}
	return program.Traced(s.runner, s.printf)
}

// printJSON prints the result of a verb for programs: one object, of the type named
// after the verb, and the end of a line. A verb that fails prints a failure instead.
func (s *session) printJSON(value any) error {
	s.line.Clear()
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// answer prints the result of a verb on standard output: with --json for programs, else as
// text. One without a text has said on standard error what it did.
func (s *session) answer(result any, text string) error {
	switch {
	case s.json:
		return s.printJSON(result)
	case text == "":
		return nil
	}
	return s.print(text)
}

// print prints data; a closed pipe or a full disk is an error, unless there is nothing to print.
func (s *session) print(data string) error {
	if data == "" {
		return nil
	}
	s.line.Clear()
	if _, err := io.WriteString(s.out, data); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// paint puts a text into a color, where standard output gets colors.
func (s *session) paint(code, text string) string {
	if !s.colored() {
		return text
	}
	return terminal.Paint(code, text)
}

// colored tells whether standard output gets colors: as asked, or on a terminal
// when NO_COLOR is unset (no-color.org).
func (s *session) colored() bool {
	switch s.color {
	case "always":
		return true
	case "never":
		return false
	}
	return os.Getenv("NO_COLOR") == "" && terminal.Is(s.out)
}
