package netns

import (
	"errors"
	"os"
	"strings"
	"testing"

	"natspread/internal/test/netnstest"
)

// TestWithin looks where a function runs, and that the caller stays where it was.
func TestWithin(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	if _, err := Pipe("netns add elsewhere\n", "ip", "-batch", "-"); err != nil {
		t.Fatal(err)
	}
	here := network(t)
	var there string
	failure := errors.New("its own")
	err := Within("elsewhere", func() error {
		there = network(t)
		return failure
	})
	if !errors.Is(err, failure) || there == here || network(t) != here {
		t.Errorf("from %s it ran in %s, back in %s: %v", here, there, network(t), err)
	}
	if err := Within("nowhere", func() error { return nil }); err == nil || !strings.Contains(err.Error(), "/run/netns/nowhere") {
		t.Errorf("a namespace that is not there: %v", err)
	}
}

// network names the network namespace of the calling thread.
func network(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSettleRefuses calls it where nobody made namespaces for it.
func TestSettleRefuses(t *testing.T) {
	for _, root := range []Root{Machine, Own} {
		for _, left := range []string{"net:[1]", network(t)} {
			if err := Settle(left, root); err == nil || !strings.Contains(err.Error(), "not namespaces of its own") {
				t.Errorf("left %s: %v", left, err)
			}
		}
	}
}

// TestPipe runs a program that fails.
func TestPipe(t *testing.T) {
	said, err := Pipe("in", "cat")
	if err != nil || said != "in" {
		t.Errorf("cat said %q, %v", said, err)
	}
	if _, err := Pipe("", "sh", "-c", "echo why >&2; exit 3"); err == nil || err.Error() != "cannot run sh: exit status 3: why" {
		t.Errorf("%v", err)
	}
}
