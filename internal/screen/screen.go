// Package screen says how everything that people read looks on a terminal: its styles, lines that fit, and tables.
package screen

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Screen is what a text is written for. The zero Screen is a file or a pipe: a line is as long as it is, and
// nothing has a style.
type Screen struct {
	Columns int  // of a line; 0 is any number
	Styled  bool // styles are shown
}

// The styles, as SGR codes of ECMA-48. They are all that there are: each is easy to read on black and on white, and
// no text says less without them.
const (
	bold  = "1"
	red   = "31"
	alarm = "1;31"
	plain = "0"
)

// Bold is for what a text begins with, and for what is new.
func (s Screen) Bold(text string) string { return s.paint(bold, text) }

// Red is for what is wrong or goes away.
func (s Screen) Red(text string) string { return s.paint(red, text) }

// Alarm is for a word that says that something is wrong.
func (s Screen) Alarm(text string) string { return s.paint(alarm, text) }

// paint gives a text a style.
func (s Screen) paint(code, text string) string {
	if !s.Styled || text == "" {
		return text
	}
	return sgr(code) + text + sgr(plain)
}

// sgr is the sequence that begins a style.
func sgr(code string) string { return "\x1b[" + code + "m" }

// painted matches what begins and ends a style, and takes no place.
var painted = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Width is how many columns a text takes.
func Width(text string) int {
	if strings.Contains(text, "\x1b") { // hardly ever, and to look for a style takes its time
		text = painted.ReplaceAllString(text, "")
	}
	return utf8.RuneCountInString(text)
}

// further is by how many columns the rest of a line that was broken stands further in.
const further = 4

// Wrap breaks a line where it is too long: where two blanks stand, or else before an option of a rule, or else between
// words. What follows stands further in. A word that has no room in a line, as a long name of a file, stays whole.
func (s Screen) Wrap(line string) string { return s.wrap(line, inner(line), "  ", " -", " ") }

// WrapList is Wrap for a line of lists, which is rather broken behind a comma than between words.
func (s Screen) WrapList(line string) string { return s.wrap(line, inner(line), "  ", ", ", " ") }

// inner returns how far in the rest of a line stands that was broken.
func inner(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) + further }

// wrap breaks a line where one of some separators stands, the first ones rather than the last ones. What follows
// stands so far in.
func (s Screen) wrap(line string, indent int, separators ...string) string {
	if s.Columns == 0 || Width(line) <= s.Columns {
		return line
	}
	blanks := len(line) - len(strings.TrimLeft(line, " "))
	w := wrapper{columns: s.Columns, indent: indent, column: blanks, empty: true}
	w.WriteString(line[:blanks])
	w.add("", line[blanks:], separators)
	return w.String()
}

// wrapper is a line that is being broken.
type wrapper struct {
	strings.Builder
	columns, indent int
	column          int    // of what is written
	empty           bool   // nothing stands in this line yet
	style           string // what begins the style of what is written
}

// add adds words behind a separator: to this line, or to a new one if they fit there only, or else part by part.
func (w *wrapper) add(before, words string, separators []string) {
	fits := func(column int) bool { return column+Width(words) <= w.columns }
	switch {
	case w.empty && (fits(w.column) || len(separators) == 0):
		w.write(words)
	case !w.empty && fits(w.column+len(before)):
		w.write(before + words)
	case !w.empty && (fits(w.indent) || len(separators) == 0):
		w.WriteString(ending(w.style) + "\n" + strings.Repeat(" ", w.indent) + w.style)
		w.column = w.indent
		w.write(words)
	default:
		parts, blanks := split(words, separators[0])
		for i, part := range parts {
			if i > 0 {
				before = blanks
			}
			w.add(before, part, separators[1:])
		}
	}
}

// split returns the parts of words, and the blanks between them: what stands before the blanks of a separator is of the
// part before, and what stands behind them of the part behind. A number is no part of its own: it goes with the word
// behind it.
func split(words, separator string) (parts []string, blanks string) {
	from, to := strings.Index(separator, " "), strings.LastIndex(separator, " ")+1
	left, blanks, right := separator[:from], separator[from:to], separator[to:]
	all := strings.Split(words, separator)
	for i, part := range all {
		number := i > 0 && separator == " " && strings.Trim(all[i-1], "(0123456789.") == ""
		if i < len(all)-1 {
			part += left
		}
		switch {
		case i == 0:
			parts = append(parts, part)
		case number:
			parts[len(parts)-1] += blanks + part
		default:
			parts = append(parts, right+part)
		}
	}
	return parts, blanks
}

// write writes words that have room in this line.
func (w *wrapper) write(words string) {
	w.WriteString(words)
	w.column, w.empty = w.column+Width(words), false
	if codes := painted.FindAllString(words, -1); len(codes) > 0 {
		w.style = strings.TrimSuffix(codes[len(codes)-1], sgr(plain))
	}
}

// ending ends a style before the end of a line, as what stands in front of the next line has none.
func ending(style string) string {
	if style == "" {
		return ""
	}
	return sgr(plain)
}

// Sign stands in a line of words before the fix.
const Sign = "; fix: "

// Fix writes the line that fixes something, behind an indent. It stays whole, as it is there to be copied. Only if it
// is too long, its comment for the shell goes into lines of its own, each of which is a comment.
func (s Screen) Fix(indent, fix string) string {
	line := indent + "fix: " + fix
	typed, comment, found := strings.Cut(line, " # ")
	if s.Columns == 0 || Width(line) <= s.Columns || !found {
		return line
	}
	before := "\n" + indent + "     # "
	room := Screen{Columns: s.Columns - len(before) + 1}
	return typed + before + strings.ReplaceAll(room.wrap(comment, 0, " "), "\n", before)
}

// command stands in a line of words before one that is to be typed.
const command = ": natspread "

// Say writes a line of words. On a terminal its fix gets a line of its own, and so does a command at its end that has no
// room in the line.
func (s Screen) Say(line string) string {
	at := strings.LastIndex(line, Sign)
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	switch typed := strings.LastIndex(line, command); {
	case s.Columns == 0 || at < 0 && (Width(line) <= s.Columns || typed < 0):
		return s.Wrap(line)
	case at < 0:
		return s.Wrap(line[:typed+1]) + "\n" + s.Wrap(indent+strings.Repeat(" ", further)+line[typed+2:])
	}
	return s.Wrap(line[:at]) + "\n" + s.Fix(indent+"  ", line[at+len(Sign):])
}
