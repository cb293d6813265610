// Package screentest compares what a terminal shows with goldens, of 80 and of 120 columns. There is one golden for
// a dark and for a light background: a screen has only styles that are easy to read on both.
package screentest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/screen"
)

// Shown is a screen, and why it is tried.
type Shown struct {
	Why  string
	Text func(screen.Screen) string
}

// Columns are those of the terminals that screens are tried on.
func Columns() []int { return []int{80, 120} }

// Each compares each screen with the golden of its name in a directory. With update the golden becomes what is shown.
func Each(t *testing.T, dir string, update bool, screens map[string]Shown) {
	t.Helper()
	for name, shown := range screens {
		t.Run(name, func(t *testing.T) {
			got := &txtar.Archive{Comment: []byte(shown.Why + "\n")}
			for _, columns := range Columns() {
				text := shown.Text(screen.Screen{Columns: columns, Styled: true})
				Check(t, text, columns)
				if plain := shown.Text(screen.Screen{Columns: columns}); plain != Plain(text) {
					t.Errorf("%d columns: without styles it says something else:\n%s", columns, cmp.Diff(plain, Plain(text)))
				}
				got.Files = append(got.Files, txtar.File{Name: strconv.Itoa(columns), Data: []byte(Readable(text))})
			}
			Compare(t, filepath.Join(dir, name+".txtar"), update, got)
		})
	}
}

// Compare compares a golden with what is shown. With update it becomes that.
func Compare(t *testing.T, path string, update bool, shown *txtar.Archive) {
	t.Helper()
	got := txtar.Format(shown)
	if update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// sequence matches what a terminal obeys.
var sequence = regexp.MustCompile("\x1b(\\[[0-9;]*[A-Za-z])?")

// Plain returns a screen without its styles.
func Plain(text string) string { return sequence.ReplaceAllString(text, "") }

// Readable returns a screen with \e in place of the byte that begins a style.
func Readable(text string) string { return strings.ReplaceAll(text, "\x1b", `\e`) }

// Check fails if a line is wider than the terminal, or has a style that is not easy to read on every ground, or does
// not end its style. A line that fixes something is there to be copied, and so it stays whole.
func Check(t interface {
	Helper()
	Errorf(format string, args ...any)
}, text string, columns int) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if words := Plain(line); screen.Width(words) > columns && !strings.HasPrefix(strings.TrimLeft(words, " "), "fix: ") {
			t.Errorf("a line of %d columns on a terminal of %d: %s", screen.Width(words), columns, words)
		}
		styles := sequence.FindAllString(line, -1)
		for i, style := range styles {
			begins := i%2 == 0
			if begins && !slices.Contains([]string{"\x1b[1m", "\x1b[31m", "\x1b[1;31m"}, style) || !begins && style != "\x1b[0m" {
				t.Errorf("%q in %q", style, line)
			}
		}
		if len(styles)%2 != 0 {
			t.Errorf("a style does not end in %q", line)
		}
	}
}
