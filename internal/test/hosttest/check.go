package hosttest

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"
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

// Await waits until a condition is met, and tells whether it was met in that time.
func Await(limit time.Duration, met func() bool) bool {
	timeout := time.After(limit)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-timeout:
			return met()
		}
	}
	return true
}

// WholeSuite tells whether tests take their largest cases, as in CI. Elsewhere the cases
// are of the same kinds, and smaller.
func WholeSuite() bool { return os.Getenv("CI") == "true" }

// Of returns the first number, or the second one where tests take their largest cases.
func Of(small, whole int) int {
	if WholeSuite() {
		return whole
	}
	return small
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
		if !Await(2*time.Second, dead) {
			t.Errorf("process %s lives on", pid)
		}
	}
	Must(t, os.Remove(path))
}
