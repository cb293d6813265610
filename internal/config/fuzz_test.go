package config

import (
	"errors"
	"strings"
	"testing"

	"natspread/internal/config/source"
)

// FuzzParse holds any input to this: no panic; errors that have a place in the
// file, words and a fix, and are sorted and printable; or a Config that keeps
// every promise.
func FuzzParse(f *testing.F) {
	const most = 1 << 14 // more than the slow check of overlaps can take
	for _, s := range stories(f) {
		if data := s.file(f, "natspread.toml").Data; len(data) <= most {
			f.Add(data)
		}
	}
	f.Add(Example())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > most {
			t.Skip("too large")
		}
		c, err := Parse("f.toml", data)
		if err == nil {
			mustHold(t, c)
			return
		}
		var all source.Errors
		if !errors.As(err, &all) || len(all) == 0 {
			t.Fatalf("the error is no Errors: %v", err)
		}
		lines := strings.Split(string(data), "\n")
		for i, e := range all {
			mustBeLocated(t, e, lines)
			if i > 0 && (e.Line < all[i-1].Line || e.Line == all[i-1].Line && e.Column < all[i-1].Column) {
				t.Errorf("errors %d and %d are not sorted", i-1, i)
			}
		}
		if strings.ContainsFunc(all.Error(), func(r rune) bool { return r != '\n' && unwanted(r) && r != 0xfffd }) {
			t.Errorf("the error would write raw control characters: %q", all.Error())
		}
	})
}

// mustBeLocated fails unless e points into the lines of its file and says all
// it should.
func mustBeLocated(t *testing.T, e source.Error, lines []string) {
	t.Helper()
	if e.Line < 1 || e.Line > len(lines) || e.Related.Line < 0 || e.Related.Line > len(lines) {
		t.Fatalf("lines %d and %d of %d", e.Line, e.Related, len(lines))
	}
	line := lines[e.Line-1]
	if e.Column < 1 || e.Column > len(line)+1 || e.Width < 1 || e.Width > 1 && e.Column-1+e.Width > len(line) {
		t.Errorf("column %d, width %d in a line of %d bytes", e.Column, e.Width, len(line))
	}
	if e.Source != strings.TrimSuffix(line, "\r") || e.File == "" || e.Message == "" || e.Fix == "" {
		t.Errorf("incomplete error %+v for line %q", e, line)
	}
}
