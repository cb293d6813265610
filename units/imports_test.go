package units

import (
	"os/exec"
	"strings"
	"testing"
)

// What the package must not know it must not import, not even through others: of the project's own
// packages only internal/atomicfile.
func TestImports(t *testing.T) {
	listed, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{"natspread/units": true, "natspread/internal/atomicfile": true}
	seen := 0
	for line := range strings.Lines(string(listed)) {
		if name := strings.TrimSpace(line); strings.HasPrefix(name, "natspread/") {
			seen++
			if !allowed[name] {
				t.Errorf("imports %s", name)
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("go list names %d packages of the project, want %d", seen, len(allowed))
	}
}
