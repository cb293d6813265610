package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/configfiles"
	"natspread/restore/generation"
)

// article is a config of one service with three backends.
const article = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
`

// What is known of a generation is shown, and a "?" stands for the rest.
func TestHistoryWords(t *testing.T) {
	t.Parallel()
	made := generation.Manifest{Number: 7, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "apply"}
	when := made.Created.Local().Format(time.DateTime)
	for _, c := range []struct {
		name  string
		entry generation.Entry
		want  string
	}{
		{"good", generation.Entry{Manifest: made, Config: configfiles.Alone("natspread.toml", []byte(article))}, "7 " + when + " 1 3 apply"},
		{"current", generation.Entry{Manifest: made, Config: configfiles.Alone("natspread.toml", []byte(article)), IsCurrent: true, IsBoot: true}, "7 " + when + " 1 3 apply (current)"},
		{"its config no longer parses", generation.Entry{Manifest: made, Config: configfiles.Alone("natspread.toml", []byte("wieght = 1\n")), IsBoot: true},
			"7 " + when + " ? ? apply (boot falls back to it)"},
		{"not good", generation.Entry{Manifest: made, Problem: errors.New("cut\nshort"), IsCurrent: true}, "7 " + when + " ? ? apply (current; not good) cut; short"},
		{"unreadable", generation.Entry{Manifest: generation.Manifest{Number: 7}, Problem: errors.New("gone")}, "7 ? ? ? ? (not good) gone"},
	} {
		text := HistoryOf([]generation.Entry{c.entry}).Text(plain())
		_, line, _ := strings.Cut(text, "\n")
		if got := strings.Join(strings.Fields(line), " "); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

// Each generation says what it changed of the good one before it, and what is current or not good has a style.
func TestHistoryChanges(t *testing.T) {
	t.Parallel()
	const other = "[[service]]\nname = \"dns\"\nlisten = \"192.0.2.10:53\"\nbackends = [\"10.0.0.1:53\"]\n"
	var entries []generation.Entry
	for i, text := range []string{article, article + other, "# the same\n" + article + other, "", other, strings.Replace(article, "10.0.0.3", "10.0.0.4", 1)} {
		entry := generation.Entry{Manifest: generation.Manifest{Number: i + 1, Command: "apply"}, Config: configfiles.Alone("natspread.toml", []byte(text)), IsCurrent: i == 5}
		if text == "" {
			entry.Problem = errors.New("generation 4 is not good: cut")
		}
		entries = append([]generation.Entry{entry}, entries...)
	}
	history := HistoryOf(entries)
	var by []string
	for _, line := range strings.Split(history.Text(plain()), "\n") {
		_, words, _ := strings.Cut(line, "  apply")
		by = append(by, words)
	}
	want := []string{"", ": 1 service added, 1 removed  (current)", ": 1 service removed", "  (not good)", ": no service changed", ": 1 service added", "", "", ""}
	if diff := cmp.Diff(want, by); diff != "" {
		t.Errorf("want -, got +:\n%s\n%s", diff, history.Text(styled()))
	}
	if text := history.Text(styled()); !strings.HasPrefix(text, "GENERATION ") || !strings.Contains(text, "\n         \x1b[1m6\x1b[0m ") ||
		!strings.Contains(text, "\n         \x1b[31m4\x1b[0m ") || !strings.HasSuffix(text, "\ngeneration 4 is not good: cut\n") {
		t.Error(text)
	}
}
