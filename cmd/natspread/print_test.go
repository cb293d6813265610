package main

import (
	"errors"
	"testing"
)

// Words are one line that a terminal shows and does not obey, and several causes
// are told apart.
func TestOneLine(t *testing.T) {
	t.Parallel()
	joined := errors.Join(errors.New("cannot write current"), errors.New("cannot remove generation 2")).Error()
	for words, want := range map[string]string{
		"cannot read x: gone":     "cannot read x: gone",
		"trailing end\n":          "trailing end",
		joined:                    "cannot write current; cannot remove generation 2",
		"cannot read a\x1b[2Jb":   `cannot read a\x1b[2Jb`,
		"cannot read a\rb\tc":     `cannot read a\rb\tc`,
		"cannot read \u202egnp":   `cannot read \u202egnp`,
		"cannot read grün, 10 µs": "cannot read grün, 10 µs",
	} {
		if got := oneLine(words); got != want {
			t.Errorf("%q: %q, not %q", words, got, want)
		}
	}
}
