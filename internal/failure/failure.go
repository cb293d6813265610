// Package failure says of a verb that failed what is wrong, the line that fixes it, and what was done before: for people
// and for programs.
package failure

import (
	"errors"
	"fmt"
	"strings"

	"natspread/internal/config"
	"natspread/internal/screen"
	"natspread/internal/text"
	"natspread/restore"
	"natspread/restore/iptables"
	"natspread/units"
)

// Failure is what a verb that fails prints with --json, in place of its result.
type Failure struct {
	ExitCode int       `json:"exit_code"`
	Changed  bool      `json:"changed"` // whether something is not as it was before
	Errors   []Problem `json:"errors"`
	Done     []string  `json:"done,omitempty"`  // install and uninstall: what was done before, a sentence each
	Notes    []string  `json:"notes,omitempty"` // what the administrator should know, a sentence each
}

// Problem is one error, as standard error has it, too.
type Problem struct {
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"`
	File   string `json:"file,omitempty"` // of a config, as are the line and the column
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// halfway is an error of a verb that had done something, or had something to say, before it failed.
type halfway struct {
	error
	changed     bool
	done, notes []string
}

// Unwrap returns the error inside.
func (e *halfway) Unwrap() error { return e.error }

// Halfway is an error that came after a result, and after what was done besides.
func Halfway(result restore.Result, done []string, err error) error {
	return &halfway{err, result.Changed || units.Changed(done), done, result.Notes}
}

// Of describes an error for programs.
func Of(err error, code int) Failure {
	failed := Failure{ExitCode: code}
	if left := new(iptables.NotRevertedError); errors.As(err, &left) {
		failed.Changed = true
	}
	if before := new(halfway); errors.As(err, &before) {
		failed.Changed, failed.Done, failed.Notes = failed.Changed || before.changed, before.done, before.notes
	}
	var wrong config.Errors
	if errors.As(err, &wrong) {
		for _, one := range wrong {
			failed.Errors = append(failed.Errors, Problem{text.OneLine(one.Message), text.OneLine(one.Fix), one.File, one.Line, one.Column})
		}
		return failed
	}
	what, fix := words(err)
	failed.Errors = []Problem{{What: what, Fix: fix}}
	return failed
}

// Sign stands in an error before the line that fixes it.
const Sign = screen.Sign

// words returns what an error says, and the line that fixes it, "" where there is none.
func words(err error) (what, fix string) {
	what = text.OneLine(err.Error())
	var fixed *restore.FixError
	if errors.As(err, &fixed) {
		return what, text.OneLine(fixed.Fix)
	}
	at := strings.LastIndex(what, Sign)
	if at < 0 {
		return what, ""
	}
	const left = "; nothing was changed" // callers add it behind the line
	fix, unchanged := strings.CutSuffix(what[at+len(Sign):], left)
	if what = what[:at]; unchanged {
		what += left
	}
	return what, fix
}

// most is how many errors of a config Text writes.
const most = 100

// Text says what went wrong, and last the line that fixes it, where that is known: on a terminal in a line
// of its own. The errors of a config begin each with its place, in the form that editors read.
func Text(on screen.Screen, err error) string {
	var wrong config.Errors
	if errors.As(err, &wrong) {
		return configText(on, wrong)
	}
	what, fix := words(err)
	what = "natspread: " + what
	switch {
	case fix == "":
		return on.Wrap(on.Bold(what))
	case on.Columns == 0:
		return on.Bold(what) + Sign + fix
	}
	return on.Wrap(on.Bold(what)) + "\n" + on.Fix("", fix)
}

// configText says what is wrong with a config.
func configText(on screen.Screen, wrong config.Errors) string {
	room := 0
	if on.Columns > 0 {
		room = on.Columns - len(inside)
	}
	var all []string
	for _, one := range wrong[:min(most, len(wrong))] {
		line, carets := one.Excerpt(room)
		blanks := carets[:len(carets)-len(strings.TrimLeft(carets, " "))]
		carets = blanks + on.Red(strings.TrimLeft(carets, " "))
		all = append(all, fmt.Sprintf("%s\n%s%s\n%s%s\nfix: %s\n", on.Wrap(on.Bold(one.Head())), inside, line, inside, carets, one.Fix))
	}
	if more := len(wrong) - most; more > 0 {
		all = append(all, fmt.Sprintf("natspread: and %s more", text.Plural(more, "error")))
	}
	return strings.TrimRight(strings.Join(all, "\n"), "\n")
}

// inside stands before the lines that an error shows of a config.
const inside = "    "
