package source

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestErrorText shows the shape of one error: place, line, carets, fix, with
// nothing in it that a terminal would obey.
func TestErrorText(t *testing.T) {
	for name, tt := range map[string]struct {
		in   Error
		want string
	}{
		"plain": {
			Error{File: "f", Line: 2, Column: 8, Width: 3, Source: "port = 999", Message: "m", Fix: "x"},
			"f:2:8: m\n    port = 999\n           ^^^\nfix: x",
		},
		"tab before the value": {
			Error{File: "f", Line: 1, Column: 2, Width: 1, Source: "\tx", Message: "m", Fix: "x"},
			"f:1:2: m\n     x\n     ^\nfix: x",
		},
		"wide characters before the value": {
			Error{File: "f", Line: 1, Column: 5, Width: 1, Source: "éé=x", Message: "m", Fix: "x"},
			"f:1:5: m\n    éé=x\n      ^\nfix: x",
		},
		"escapes in file and line": {
			Error{File: "a\x1b[2J\nb", Line: 1, Column: 1, Width: 2, Source: "\x1b\x00\xff\u202e", Message: "m", Fix: "x"},
			"a\\x1b[2J\\nb:1:1: m\n    \\x1b\\x00\\xff\\u202e\n    ^^^^^^^^\nfix: x",
		},
		"past the end": {
			Error{File: "f", Line: 1, Column: 9, Width: 5, Source: "ab", Message: "m", Fix: "x"},
			"f:1:9: m\n    ab\n      ^\nfix: x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.in.Error(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestErrorCutsLongLines keeps a line of a megabyte to what fits a screen, whole
// characters only.
func TestErrorCutsLongLines(t *testing.T) {
	body := strings.Repeat("日", 1<<18)
	for shift := range 4 {
		pad := strings.Repeat("x", shift) + body
		e := Error{File: "f", Line: 1, Column: len(pad) + 1, Width: len(body), Source: pad + body + body, Message: "m", Fix: "x"}
		lines := strings.Split(e.Error(), "\n")
		if len(lines) != 4 {
			t.Fatalf("got %d lines, want 4", len(lines))
		}
		for _, line := range lines[1:3] {
			if n := utf8.RuneCountInString(line); n > 200 || strings.Contains(line, `\x`) {
				t.Errorf("a line of %d characters, or a cut one: %s", n, line)
			}
		}
		if got, want := strings.Index(lines[2], "^"), len("    ...")+context/len("日"); got != want {
			t.Errorf("the carets begin at %d, want %d", got, want)
		}
	}
}
