package hosttest

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"natspread/internal/test/await"
)

// Must ends the test on an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// WantSame compares what was with what is, line by line.
func WantSame(t testing.TB, what, before, after string) {
	t.Helper()
	if before != after {
		t.Errorf("%s changed:\n%s", what, diff.Diff("before", []byte(before), "after", []byte(after)))
	}
}

// WantDead asks that processes which wrote down their numbers are gone, or wait
// only to be reaped: an orphan is this process's, the first of its namespace.
func WantDead(t testing.TB, path string) {
	t.Helper()
	pids, err := os.ReadFile(path)
	Must(t, err)
	for _, pid := range strings.Fields(string(pids)) {
		dead := func() bool {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ")
		}
		if !await.Within(2*time.Second, dead) {
			t.Errorf("process %s lives on", pid)
		}
	}
	Must(t, os.Remove(path))
}
