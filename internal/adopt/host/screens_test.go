package host_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/adopt"
	"natspread/internal/adopt/host"
	"natspread/internal/screen"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/screentest"
	"natspread/internal/text"
)

// update rewrites the goldens of screens.
var update = flag.Bool("update", false, "rewrite the screens in testdata/screens")

// TestScreens holds what adopt --apply shows before its question to terminals: each rule once, and the config.
func TestScreens(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	hosttest.Must(t, os.MkdirAll(filepath.Join(root, "etc/iptables"), 0o755))
	rules := strings.Replace(byHalves, "COMMIT\n", "-A PREROUTING -i eth0 -p tcp -m tcp --dport 2222 -m comment --comment \"bob ssh\" -j DNAT --to-destination 10.0.0.2:22\nCOMMIT\n", 1)
	hosttest.Must(t, os.WriteFile(filepath.Join(root, "etc/iptables/rules.v4"), []byte(rules), 0o644))
	nobody := func(context.Context, string, string, string, func(string) string) (string, error) { return "", nil }
	shown := func(choices adopt.Choices) func(screen.Screen) string {
		found, err := host.Adopt(t.Context(), host.Host{Root: root, In: strings.NewReader(rules), Choose: nobody}, host.Source{File: "-"}, choices)
		hosttest.Must(t, err)
		lines := found.Lines(true)
		if len(found.Questions) == 0 {
			lines = slices.Concat(lines, found.Proposal("/etc/natspread/natspread.toml"))
		}
		return func(s screen.Screen) string {
			said := ""
			for _, line := range lines {
				said += s.Say(text.OneLine(line)) + "\n"
			}
			return said
		}
	}
	screentest.Each(t, "../../../testdata/screens", *update, map[string]screentest.Shown{
		"adopt":      {Why: "adopt --apply, before it asks: each rule once, and the config.", Text: shown(adopt.Choices{Listen: []string{"*"}, Shares: adopt.Meant, Except: []string{"bob-ssh"}})},
		"adopt-open": {Why: "adopt --apply, when nobody can answer.", Text: shown(adopt.Choices{})},
	})
}
