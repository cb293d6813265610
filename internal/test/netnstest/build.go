package netnstest

import (
	"os"
	"os/exec"
	"testing"

	"natspread/internal/test/testsize"
)

// builtName is the environment variable that tells the child of Isolate where Build put the
// programs of its parent.
const builtName = "NETNSTEST_BUILT"

// Build builds programs, and returns their directory. In the child of Isolate these are the
// programs that the parent built. Call it before Isolate, and once in a test.
func Build(t *testing.T, packages ...string) (dir string) {
	t.Helper()
	if IsIsolated() {
		return os.Getenv(builtName)
	}
	dir = t.TempDir()
	t.Setenv(builtName, dir)
	out, err := exec.Command("go", append([]string{"build", "-ldflags=-s -w", "-o", dir + "/"}, packages...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

// Need skips a test where a program is missing, and names the package of Debian that has it.
// Where namespaces are required, or every test is wanted (testsize.Whole), that is a failure.
func Need(t testing.TB, program, debian string) {
	t.Helper()
	if installed(program) {
		return
	}
	if os.Getenv(Require) == "1" || testsize.Whole() {
		t.Fatalf("no %s on this machine: apt-get install %s", program, debian)
	}
	t.Skipf("no %s on this machine: apt-get install %s", program, debian)
}
