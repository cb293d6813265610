package source

import (
	"strings"
	"testing"
	"time"
)

// TestManyErrorsOnOneLine files errors on one line: eight times as many of them take about eight
// times as long, not sixty-four. The fastest of some runs counts.
func TestManyErrorsOnOneLine(t *testing.T) {
	const value = "10.0.0.1:80, "
	cost := func(n int) time.Duration {
		text := []byte(strings.Repeat(value, n))
		fastest := time.Hour
		for range 5 {
			s := New("f", text)
			begun := time.Now()
			for i := range n {
				s.Refuse(Span{i * len(value), i*len(value) + 1}, "fix", "wrong")
			}
			fastest = min(fastest, time.Since(begun))
		}
		return fastest
	}
	if few, many := cost(5000), cost(40000); many > 24*few {
		t.Errorf("5,000 errors take %v, and 40,000 take %v", few, many)
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
