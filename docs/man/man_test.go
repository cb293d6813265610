package man

import (
	"strings"
	"testing"
)

// TestText holds what a terminal shows against the pages: no markup is left, and no heading or
// code is lost.
func TestText(t *testing.T) {
	for _, page := range Pages() {
		marked := Text(page, func(heading string) string { return "<" + heading + ">" })
		for _, want := range []string{"\n<NAME>\n", "\n<SEE ALSO>\n", "\n" + page + " - "} {
			if !strings.Contains(marked, want) {
				t.Errorf("%s: no %q", page, want)
			}
		}
		for _, markup := range []string{"**", "```", "\n## ", "\n:   ", `\_`, `\*`} {
			if strings.Contains(marked, markup) {
				t.Errorf("%s: %q is left", page, markup)
			}
		}
	}
	if !strings.Contains(Text("natspread", strings.ToUpper), "\n    iptables-restore < /var/lib/natspread/current/rules.v4\n") {
		t.Error("a command of WITHOUT NATSPREAD is not as it is written")
	}
	if text := Text("natspread.conf", strings.ToUpper); text != "" {
		t.Errorf("a page that there is not: %q", text)
	}
}
