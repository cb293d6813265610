package main

import (
	"strings"
	"testing"
)

func TestBar(t *testing.T) {
	s := screen{block: "#"}
	for _, test := range []struct {
		seen, wanted float64
		bar          string
	}{
		{1, 1, strings.Repeat("#", 25) + "|"},
		{0, 1, strings.Repeat(" ", 25) + "|"},
		{0, 0, "|"},
		{0.5, 1, strings.Repeat("#", 13) + strings.Repeat(" ", 12) + "|"},
		{1, 0.5, strings.Repeat("#", 12) + "|" + strings.Repeat("#", 13)},
	} {
		if got := s.bar(test.seen, test.wanted); got != test.bar {
			t.Errorf("bar(%v, %v) = %q, not %q", test.seen, test.wanted, got, test.bar)
		}
	}
}

func TestQuote(t *testing.T) {
	word := strings.Repeat("x", 100)
	for said, shown := range map[string]string{
		"":                          "",
		"one\n\ntwo":                "  one\n\n  two\n",
		word:                        "  " + word + "\n",
		strings.Repeat("word ", 30): "  " + strings.Repeat("word ", 14) + "word\n    " + strings.Repeat("word ", 14) + "word\n",
	} {
		var out strings.Builder
		screen{out: &out}.quote(said)
		if out.String() != shown {
			t.Errorf("quote(%q) shows\n%s", said, out.String())
		}
	}
}
