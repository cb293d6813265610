package source

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// Span is a stretch of the text, from its first byte to the one after its last.
type Span struct{ Start, End int }

// Source is the text under inspection. It is the one place that makes errors.
type Source struct {
	Name  string
	Text  string
	lines []int // where each line starts; found when the first error needs it
	errs  Errors
}

// New takes the text of a config whose errors will name it name.
func New(name string, data []byte) *Source {
	return &Source{Name: name, Text: string(data)}
}

// Refuse files an error at a span and returns it, so that a caller can name a
// second place.
func (s *Source) Refuse(at Span, fix, format string, args ...any) *Error {
	line := s.Line(at)
	start := s.lines[line-1]
	text := s.lineText(line)
	from := min(at.Start-start, len(text)) // a line's end stands in one place, LF or CRLF
	to := min(at.End-start, len(text))
	for to < len(text) && !utf8.RuneStart(text[to]) {
		to++ // the parser points at bytes
	}
	s.errs = append(s.errs, Error{
		File:    s.Name,
		Line:    line,
		Column:  from + 1,
		Width:   max(1, to-from),
		Source:  text,
		Message: printable(fmt.Sprintf(format, args...)),
		Fix:     printable(fix),
	})
	return &s.errs[len(s.errs)-1]
}

// Line is the number of the line where a span starts, from 1.
func (s *Source) Line(at Span) int {
	if s.lines == nil {
		s.lines = lineStarts(s.Text)
	}
	return sort.SearchInts(s.lines, at.Start+1)
}

// lineText returns a line without its end. It looks at the ends of the line alone: a line of a
// megabyte may have a hundred thousand faults.
func (s *Source) lineText(line int) string {
	end := len(s.Text)
	if line < len(s.lines) {
		end = s.lines[line] - 1
	}
	return strings.TrimSuffix(s.Text[s.lines[line-1]:end], "\r")
}

// lineStarts lists the offset of each line's first byte.
func lineStarts(text string) []int {
	starts := []int{0}
	for i := range len(text) {
		if text[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// Show is the text of a span as it was typed, short enough for a message.
func (s *Source) Show(at Span) string {
	return FirstBytes(s.Typed(at))
}

// Typed is the whole text of a span as it was typed.
func (s *Source) Typed(at Span) string {
	return s.Text[at.Start:min(at.End, len(s.Text))]
}

// Faulty tells whether an error was filed.
func (s *Source) Faulty() bool { return len(s.errs) > 0 }

// Err returns what was filed, sorted by position, or nil. What is the same at the same place, as
// for several services that share a pool, is one error.
func (s *Source) Err() error {
	if len(s.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(s.errs, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	s.errs = slices.Compact(s.errs)
	return s.errs
}
