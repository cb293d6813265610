package promtest

import (
	"os/exec"
	"strings"
	"testing"

	"natspread/internal/test/netnstest"
)

// Promtool runs Prometheus' own tool in a directory, with a text on its standard input, and
// returns what it says. It fails the test where promtool finds a fault, or says anything of
// metrics, of which it exits 0 also for what it only advises against.
func Promtool(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	netnstest.Need(t, "promtool", "prometheus")
	command := exec.CommandContext(t.Context(), "promtool", args...)
	command.Dir, command.Stdin = dir, strings.NewReader(stdin)
	said, err := command.CombinedOutput()
	if err != nil || args[1] == "metrics" && len(said) > 0 {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return string(said)
}
