package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"natspread/internal/config"
	"natspread/internal/program"
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
	fmt.Fprintf(s.err, "natspread: %s\n", oneLine(err.Error()))
}

// oneLine returns words that stay on one line and that a terminal shows instead of
// obeying them: names of files and what programs said can hold anything.
func oneLine(words string) string {
	words = strings.ReplaceAll(strings.TrimSpace(words), "\n", "; ")
	var line strings.Builder
	for _, r := range words {
		if unicode.IsPrint(r) {
			line.WriteRune(r)
		} else {
			line.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return line.String()
}

// cause drops the operation and the path from a system's error, for words that
// have them already.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// tell says something on standard error, unless it should be quiet.
func (s *session) tell(o options, format string, args ...any) {
	if !o.quiet {
		fmt.Fprintf(s.err, format+"\n", args...)
	}
}

// tellDone tells, a line each, what was done.
func (s *session) tellDone(o options, done []string) {
	for _, line := range done {
		s.tell(o, "%s", line)
	}
}

// traced returns the session's runner, which with -v tells of each program that
// was run.
func (s *session) traced(o options) program.Runner {
	if !o.verbose {
		return s.runner
	}
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		began := time.Now()
		stdout, err := s.runner(ctx, stdin, name, args...)
		ended := "done"
		if err != nil {
			ended = "failed"
		}
		s.tell(o, "ran %s %s: %s after %v", name, strings.Join(args, " "), ended, time.Since(began).Round(time.Millisecond))
		return stdout, err
	}
}

// printJSON prints the result of a verb for programs: one object, of the type named
// after the verb, and the end of a line. A verb that fails prints words on standard
// error instead, with --json too, and the exit code tells why.
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
	return os.Getenv("NO_COLOR") == "" && isTerminal(s.out)
}

// isTerminal tells whether a stream is a terminal: somebody looks at what is written,
// or types what is read.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
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
