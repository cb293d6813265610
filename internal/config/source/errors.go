package source

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is one fault of a config and its place.
type Error struct {
	File    string // as given to Parse
	Line    int    // from 1
	Column  int    // from 1, in bytes
	Width   int    // bytes the carets cover, at least 1
	Source  string // the whole line as it stands in the file
	Message string // what cannot be used, and why
	Fix     string // what to write instead
	Related Place  // the other line where two places clash
}

// Place is a line of a file. File is "" for the file that is spoken of.
type Place struct {
	File string
	Line int // from 1
}

// Format writes the number of the line, and of which file it is.
func (p Place) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, p.Line)
	if p.File != "" {
		fmt.Fprintf(f, " of %s", p.File)
	}
}

// Error writes the place and the message, the source line with carets under the
// value, and the fix. Nothing unprintable of the file reaches a terminal.
func (e Error) Error() string {
	line, carets := e.Excerpt(0)
	return fmt.Sprintf("%s\n    %s\n    %s\nfix: %s", e.Head(), line, carets, e.Fix)
}

// Head returns the place and the message.
func (e Error) Head() string {
	return fmt.Sprintf("%s:%d:%d: %s", printable(e.File), e.Line, e.Column, e.Message)
}

// Excerpt returns the part of the source line around the value and the carets
// that belong below it. Where there is room for so many characters only, it leaves
// out what is furthest from the carets; 0 is any number.
func (e Error) Excerpt(room int) (line, carets string) {
	at := min(e.Column-1, len(e.Source))
	before, from := e.Source[:at], e.Source[at:]
	value, after := from, ""
	if e.Width < len(from) {
		value, after = from[:e.Width], from[e.Width:]
	}
	head, value, tail := printable(lastBytes(before)), printable(FirstBytes(value)), printable(FirstBytes(after))
	if all := utf8.RuneCountInString(head + value + tail); room > 0 && all > room {
		value = firstRunes(value, room/2)
		head = lastRunes(head, room-utf8.RuneCountInString(value)-min(utf8.RuneCountInString(tail), room/4))
		tail = firstRunes(tail, room-utf8.RuneCountInString(head+value))
	}
	width := max(1, utf8.RuneCountInString(value))
	return head + value + tail, strings.Repeat(" ", utf8.RuneCountInString(head)) + strings.Repeat("^", width)
}

// Errors is every fault found in one run, in the order of the files.
type Errors []Error

// Error writes them all, with an empty line between two.
func (e Errors) Error() string {
	all := make([]string, len(e))
	for i, err := range e {
		all[i] = err.Error()
	}
	return strings.Join(all, "\n\n")
}
