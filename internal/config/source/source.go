package source

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"natspread/internal/configfiles"
)

// Span is a stretch of the text, from its first byte to the one after its last.
type Span struct{ Start, End int }

// Source is the text under inspection. It is the one place that makes errors.
type Source struct {
	Text  string // of all files, one behind the other, with a line feed between two
	parts []part
	lines []int // where each line starts; found when the first error needs it
	errs  Errors
}

// part is where a file stands in the text.
type part struct {
	name string // for errors
	at   Span
}

// New takes the text of a config whose errors will name it name.
func New(name string, data []byte) *Source { return Join(configfiles.Alone(name, data)) }

// Join takes the files of a config, whose errors will name them by their paths. None is an empty one.
func Join(files configfiles.Set) *Source {
	if len(files) == 0 {
		files = configfiles.Alone("config", nil)
	}
	s := &Source{parts: make([]part, len(files))}
	var text strings.Builder
	text.Grow(files.Size() + len(files))
	for i, f := range files {
		if i > 0 {
			text.WriteByte('\n')
		}
		start := text.Len()
		text.Write(f.Text)
		s.parts[i] = part{f.Path, Span{start, text.Len()}}
	}
	s.Text = text.String()
	return s
}

// part returns where the file stands in which a span begins.
func (s *Source) part(at Span) part {
	behind := sort.Search(len(s.parts), func(i int) bool { return s.parts[i].at.Start > at.Start })
	return s.parts[behind-1]
}

// Replacement is another text in place of a span.
type Replacement struct {
	At   Span
	With string
}

// Replace returns the text of each file with replacements that do not overlap.
func (s *Source) Replace(all ...Replacement) [][]byte {
	slices.SortFunc(all, func(a, b Replacement) int { return cmp.Compare(a.At.Start, b.At.Start) })
	texts := make([][]byte, len(s.parts))
	for i, p := range s.parts {
		from := p.at.Start
		for len(all) > 0 && all[0].At.Start <= p.at.End {
			texts[i] = append(append(texts[i], s.Text[from:all[0].At.Start]...), all[0].With...)
			from, all = all[0].At.End, all[1:]
		}
		texts[i] = append(texts[i], s.Text[from:p.at.End]...)
	}
	return texts
}

// Refuse files an error at a span and returns it, so that a caller can name a
// second place.
func (s *Source) Refuse(at Span, fix, format string, args ...any) *Error {
	here := s.place(at)
	line := s.line(at)
	start := s.lines[line-1]
	text := s.lineText(line)
	for i, arg := range args {
		if place, is := arg.(Place); is && place.File == here.File {
			args[i] = place.Line
		}
	}
	from := min(at.Start-start, len(text)) // a line's end stands in one place, LF or CRLF
	to := min(at.End-start, len(text))
	for to < len(text) && !utf8.RuneStart(text[to]) {
		to++ // the parser points at bytes
	}
	s.errs = append(s.errs, Error{
		File:    here.File,
		Line:    here.Line,
		Column:  from + 1,
		Width:   max(1, to-from),
		Source:  text,
		Message: printable(fmt.Sprintf(format, args...)),
		Fix:     printable(fix),
	})
	return &s.errs[len(s.errs)-1]
}

// Line is the number of the line where a span starts. Where there are several files it says which
// one that is, but for the file of the error that names it.
func (s *Source) Line(at Span) Place {
	place := s.place(at)
	if len(s.parts) == 1 {
		place.File = ""
	}
	return place
}

// place returns the file and the line in which a span starts.
func (s *Source) place(at Span) Place {
	p := s.part(at)
	return Place{File: p.name, Line: s.line(at) - s.line(p.at) + 1}
}

// line is the number of the line of the whole text in which a span starts, from 1.
func (s *Source) line(at Span) int {
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
	order := make(map[string]int, len(s.parts))
	for i, p := range s.parts {
		order[p.name] = i
	}
	slices.SortStableFunc(s.errs, func(a, b Error) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	s.errs = slices.Compact(s.errs)
	return s.errs
}
