package config

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// span is a stretch of the text, from its first byte to the one after its last.
type span struct{ start, end int }

// source is the text under inspection. It is the one place that makes errors.
type source struct {
	name  string
	text  string
	lines []int // where each line starts; found when the first error needs it
	errs  Errors
}

// newSource takes the text of a config whose errors will name it name.
func newSource(name string, data []byte) *source {
	return &source{name: name, text: string(data)}
}

// refuse files an error at a span and returns it, so that a caller can name a
// second place.
func (s *source) refuse(at span, fix, format string, args ...any) *Error {
	line := s.line(at)
	start := s.lines[line-1]
	text, _, _ := strings.Cut(s.text[start:], "\n")
	text = strings.TrimSuffix(text, "\r")
	from := min(at.start-start, len(text)) // a line's end stands in one place, LF or CRLF
	to := min(at.end-start, len(text))
	for to < len(text) && !utf8.RuneStart(text[to]) {
		to++ // the parser points at bytes
	}
	s.errs = append(s.errs, Error{
		File:    s.name,
		Line:    line,
		Column:  from + 1,
		Width:   max(1, to-from),
		Source:  text,
		Message: printable(fmt.Sprintf(format, args...)),
		Fix:     printable(fix),
	})
	return &s.errs[len(s.errs)-1]
}

// line is the number of the line where a span starts, from 1.
func (s *source) line(at span) int {
	if s.lines == nil {
		s.lines = lineStarts(s.text)
	}
	return sort.SearchInts(s.lines, at.start+1)
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

// show is the text of a span as it was typed, short enough for a message.
func (s *source) show(at span) string {
	return firstBytes(s.text[at.start:min(at.end, len(s.text))])
}

// err returns what was filed, sorted by position, or nil.
func (s *source) err() error {
	if len(s.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(s.errs, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return s.errs
}
