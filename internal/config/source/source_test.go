package source

import (
	"strings"
	"testing"
	"unsafe"
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
