package report

import (
	"errors"
	"strings"
	"testing"
	"time"

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
		{"good", generation.Entry{Manifest: made, Config: []byte(article)}, "7 " + when + " 1 3 apply"},
		{"current", generation.Entry{Manifest: made, Config: []byte(article), IsCurrent: true, IsBoot: true}, "7 " + when + " 1 3 apply (current)"},
		{"its config no longer parses", generation.Entry{Manifest: made, Config: []byte("wieght = 1\n"), IsBoot: true},
			"7 " + when + " ? ? apply (boot falls back to it)"},
		{"not good", generation.Entry{Manifest: made, Problem: errors.New("cut\nshort"), IsCurrent: true}, "7 " + when + " ? ? apply (current; cut; short)"},
		{"unreadable", generation.Entry{Manifest: generation.Manifest{Number: 7}, Problem: errors.New("gone")}, "7 ? ? ? ? (gone)"},
	} {
		text := HistoryOf([]generation.Entry{c.entry}).Text()
		_, line, _ := strings.Cut(text, "\n")
		if got := strings.Join(strings.Fields(line), " "); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}
