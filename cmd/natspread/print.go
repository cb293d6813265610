package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/config"
)

// complain says what went wrong, on standard error. What a config gets is printed
// as it stands: each error in it begins with its place, as editors want it.
func (s *session) complain(err error) {
	if err == nil || errors.Is(err, errSilent) {
		return
	}
	var wrong config.Errors
	if errors.As(err, &wrong) {
		fmt.Fprintln(s.err, strings.TrimRight(err.Error(), "\n"))
		return
	}
	fmt.Fprintf(s.err, "natspread: %s\n", strings.TrimRight(err.Error(), "\n"))
}

// tell says something on standard error, unless it should be quiet.
func (s *session) tell(o options, format string, args ...any) {
	if !o.quiet {
		fmt.Fprintf(s.err, format+"\n", args...)
	}
}

// tellMore says what only -v asks for.
func (s *session) tellMore(o options, format string, args ...any) {
	if o.verbose {
		s.tell(o, format, args...)
	}
}

// printJSON prints the result of a verb for programs. A value always ends with
// the end of a line.
func (s *session) printJSON(value any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// print prints data; a closed pipe or a full disk is an error.
func (s *session) print(text string) error {
	if _, err := io.WriteString(s.out, text); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// paint puts a text into a color of the terminal: an SGR code such as "31".
func (s *session) paint(o options, code, text string) string {
	if !s.colored(o) {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// colored tells whether standard output gets colors: as asked, or on a terminal
// when NO_COLOR is unset (no-color.org).
func (s *session) colored(o options) bool {
	switch o.color {
	case "always":
		return true
	case "never":
		return false
	}
	file, ok := s.out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// plural returns a number with its noun: 1 service, 2 services.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
