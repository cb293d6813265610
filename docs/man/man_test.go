package man

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// screen is how many lines of a terminal a verb may have in the manual.
const screen = 44

// marked returns a page with each heading between < and >.
func marked(page string) string {
	return Text(page, func(heading string) string { return "<" + heading + ">" })
}

// TestText holds what a terminal shows against the pages: no markup is left, no heading or code is lost,
// and no line is too long but those of code below COMMON TASKS.
func TestText(t *testing.T) {
	for _, page := range Pages() {
		text := marked(page)
		for _, want := range []string{"<NAME>\n", "\n<SEE ALSO>\n", "\n       " + page + " - "} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q", page, want)
			}
		}
		for _, markup := range []string{"**", "```", "\n## ", "\n:   ", `\_`, `\*`, "|--"} {
			if strings.Contains(text, markup) {
				t.Errorf("%s: %q is left", page, markup)
			}
		}
		below := false
		for line := range strings.Lines(text) {
			below = below || line == "<DESCRIPTION>\n"
			if code := strings.HasPrefix(line, strings.Repeat(" ", indent+4)); utf8.RuneCountInString(line) > columns+1 && !(code && below) {
				t.Errorf("%s: a line is too long: %s", page, line)
			}
		}
	}
	if text := Text("natspread.conf", strings.ToUpper); text != "" {
		t.Errorf("a page that there is not: %q", text)
	}
}

// TestLines holds how each kind of line is printed.
func TestLines(t *testing.T) {
	for page, wants := range map[string][]string{
		"natspread": {
			"\n   <adopt>\n       Makes a config of",
			"\n           iptables-restore < /var/lib/natspread/current/rules.v4\n",
			"\n       --backend ADDRESS:PORT\n              A backend. ",
			"\n       /var/lib/natspread/generations/N\n",
		},
		"natspread.toml": {"\n       state      when                         who is used\n", "\n                        random   round-robin  source       flow\n"},
		"natspread-json": {"\n       diff diff\n              What apply would change. Absent without --dry-run.\n"},
	} {
		for _, want := range wants {
			if !strings.Contains(marked(page), want) {
				t.Errorf("%s does not have:%s", page, want)
			}
		}
	}
}

// TestVerbsAreScreens holds each verb to one screen, and all of JSON to its own page: longer explanations
// stand in sections further down.
func TestVerbsAreScreens(t *testing.T) {
	_, verbs, _ := strings.Cut(marked("natspread"), "\n<VERBS>\n")
	verbs, _, _ = strings.Cut(verbs, "\n<")
	all := strings.Split(verbs, "\n   <")[1:]
	if len(all) < 20 {
		t.Errorf("only %d verbs", len(all))
	}
	for _, verb := range all {
		name, _, _ := strings.Cut(verb, ">")
		if lines := strings.Count(verb, "\n"); lines > screen {
			t.Errorf("%s has %d lines, and a screen has %d", name, lines, screen)
		}
		if strings.Contains(verb, "--json") {
			t.Errorf("%s: what --json prints belongs into natspread-json(5)", name)
		}
	}
}
