package source

import (
	"fmt"
	"strings"
)

// mostMended bounds, in bytes, the part of a file in which something missing is looked for, and the
// line that a fix prints.
const (
	mostMended  = 64 << 10
	mostPrinted = 200
)

// missing is the fix where one or two characters that are not there make a syntax error: what closes a
// string, a list or a table, or parts two values. What gets the parser the furthest is taken; the fix is
// "" where nothing gets it past the line of the error.
func (s *Source) missing(at Span, fault string) string {
	begin, end := s.around(at)
	text, place := s.Text[begin:end], at.Start-begin
	if len(text) > mostMended || place > len(text) {
		return ""
	}
	best, bestPlace, furthest := "", 0, place+len(firstLine(text[place:]))
	for _, put := range putBefore(fault) {
		where := lastValue(text[:place])
		if strings.HasPrefix(put, `"`) || put == "= " {
			where = place
		}
		if put == `"` && strings.HasSuffix(text[:place], ",") {
			where-- // which parts two values
		}
		if got := brokenAt(text[:where]+put+text[where:]) - len(put); got > furthest {
			best, bestPlace, furthest = put, where, got
		}
	}
	if best == "" {
		return ""
	}
	return s.sayMissing(at, Span{Start: begin + bestPlace, End: begin + bestPlace}, best)
}

// putBefore returns what may be missing where the parser finds a fault, the likeliest first.
func putBefore(fault string) []string {
	switch {
	case strings.HasPrefix(fault, "expected '='"):
		return []string{"= "}
	case strings.HasPrefix(fault, "expected ',' or"):
		return []string{",", "]", "}", "},", "}]"}
	case strings.HasSuffix(fault, "strings cannot have new lines"):
		return []string{`"`, `",`}
	}
	return nil
}

// sayMissing writes the fix that puts a text where it is missing: the line as it is to be, or for a list
// over several lines where it ends.
func (s *Source) sayMissing(at, where Span, put string) string {
	line := s.line(where)
	column := where.Start - s.lines[line-1]
	text := s.lineText(line)
	switch mended := strings.TrimSpace(text[:column] + put + text[column:]); {
	case put == "]" && line < s.line(at):
		return "close the list above it with ]"
	case len(mended) > mostPrinted:
		return ""
	case line < s.line(at):
		return fmt.Sprintf("write %s on line %d", strings.TrimSpace(text[:column]+put), s.Line(where).Line)
	default:
		return "write " + mended
	}
}

// around returns the span between the headers [[...]] around a place: what is missing there is missed
// no later.
func (s *Source) around(at Span) (begin, end int) {
	file := s.part(at).at
	begin = file.Start + max(0, strings.LastIndex(s.Text[file.Start:at.Start], "\n[["))
	end = file.End
	if next := strings.Index(s.Text[at.Start:file.End], "\n[["); next >= 0 {
		end = at.Start + next + 1
	}
	return begin, end
}

// lastValue returns where the last value of a text ends: behind it are only blanks and comments.
func lastValue(text string) int {
	for {
		text = strings.TrimRight(text, " \t\r\n")
		begin := strings.LastIndexByte(text, '\n') + 1
		hash := commentIn(text[begin:])
		if hash < 0 {
			return len(text)
		}
		text = text[:begin+hash]
	}
}

// commentIn returns where the comment of a line begins, -1 for none.
func commentIn(line string) int {
	var quote rune
	for i, c := range line {
		switch {
		case quote != 0 && c == quote && (i == 0 || line[i-1] != '\\'):
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && c == '#':
			return i
		}
	}
	return -1
}

// firstLine is what a text has before its first line end.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
