package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// hangBound is after how long something that should come about is given up.
const hangBound = 30 * time.Second

// eventually waits for something that takes some time, and fails when it hangs.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !within(hangBound, done) {
		t.Fatalf("%s: not after %v", what, hangBound)
	}
}

// within asks again and again, for so long at most, whether something is done.
func within(bound time.Duration, done func() bool) bool {
	clock := time.NewTicker(5 * time.Millisecond)
	defer clock.Stop()
	for deadline := time.Now().Add(bound); !done(); <-clock.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// exists returns the condition that a file does.
func exists(path string) func() bool {
	return func() bool { _, err := os.Lstat(path); return err == nil }
}

// openers counts how often a file is open in the processes of this namespace.
func openers(path string) int { return openersOf("[0-9]*", path) }

// openersOf is openers for the processes that match a pattern below /proc.
func openersOf(processes, path string) int {
	links, _ := filepath.Glob("/proc/" + processes + "/fd/*") // the pattern is right
	count := 0
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == path {
			count++
		}
	}
	return count
}
