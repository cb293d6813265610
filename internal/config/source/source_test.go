package source

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"natspread/internal/configfiles"
)

// TestManyErrorsOnOneLine files errors on one line, which all of them share: a copy of a line of a
// megabyte for each of its faults would be more than a machine has.
func TestManyErrorsOnOneLine(t *testing.T) {
	s := New("f", []byte("first\n"+strings.Repeat("10.0.0.1:80, ", 5000)))
	for i := range 5000 {
		at := 6 + i*13
		e := s.Refuse(Span{at, at + 1}, "fix", "wrong")
		if e.Line != 2 || e.Column != i*13+1 || unsafe.StringData(e.Source) != unsafe.StringData(s.Text[6:]) {
			t.Fatalf("error %d: line %d, column %d", i, e.Line, e.Column)
		}
	}
	if errs, is := s.Err().(Errors); !is || len(errs) != 5000 {
		t.Errorf("%d errors", len(errs))
	}
}

// TestLineText cuts lines off with both ends, and the last one without any.
func TestLineText(t *testing.T) {
	s := New("f", []byte("one\r\n\ntwo\nthree"))
	for i, at := range []Span{{0, 1}, {5, 5}, {6, 7}, {10, 11}} {
		if e, want := s.Refuse(at, "fix", "wrong"), []string{"one", "", "two", "three"}[i]; e.Source != want || e.Line != i+1 {
			t.Errorf("line %d is %q, want %q", e.Line, e.Source, want)
		}
	}
}

// TestJoin has errors of several files at the ends of each, with a line feed there and without one,
// and changes them where they end.
func TestJoin(t *testing.T) {
	s := Join(configfiles.Set{{Path: "a", Text: []byte("one")}, {Path: "b"}, {Path: "c", Text: []byte("two\nthree\n")}, {Path: "d", Text: []byte("\nfour")}})
	for _, at := range []struct {
		start int
		want  string
	}{
		{0, "a:1:1 one"},
		{3, "a:1:4 one"},
		{4, "b:1:1 "},
		{5, "c:1:1 two"},
		{9, "c:2:1 three"},
		{15, "c:3:1 "},
		{16, "d:1:1 "},
		{17, "d:2:1 four"},
		{21, "d:2:5 four"},
	} {
		if e := s.Refuse(Span{at.start, at.start + 1}, "fix", "wrong"); fmt.Sprintf("%s:%d:%d %s", e.File, e.Line, e.Column, e.Source) != at.want {
			t.Errorf("at %d: %s", at.start, e)
		}
	}
	if e := s.Refuse(Span{9, 10}, "fix", "not %d, but %d", s.Line(Span{Start: 5}), s.Line(Span{Start: 17})); e.Message != "not 1, but 2 of d" {
		t.Errorf("places are written as %q", e.Message)
	}
	texts := s.Replace(Replacement{Span{21, 21}, "4"}, Replacement{Span{3, 3}, "1"}, Replacement{Span{4, 4}, "new"}, Replacement{Span{5, 8}, "2"})
	if got := string(bytes.Join(texts, []byte("|"))); got != "one1|new|2\nthree\n|\nfour4" {
		t.Errorf("replaced: %q", got)
	}
}
