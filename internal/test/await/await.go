// Package await waits in tests for what another process or the kernel does. A test that
// sleeps for a fixed time instead is too slow on a fast machine and wrong on a slow one.
package await

import (
	"testing"
	"time"
)

// Bound is how long a test waits at most: far longer than anything takes that is waited
// for, also on a machine with much else to do.
const Bound = 10 * time.Second

// interval is how long a test waits between two looks.
const interval = time.Millisecond

// True returns as soon as a condition is true, and fails the test where it is not within
// Bound. The words say what the test waits for.
func True(t testing.TB, words string, condition func() bool) {
	t.Helper()
	if !Within(Bound, condition) {
		t.Fatalf("waited %v in vain: %s", Bound, words)
	}
}

// Within returns true as soon as a condition is true, and false where it is not within a
// time of the test's own.
func Within(bound time.Duration, condition func() bool) bool {
	for deadline := time.Now().Add(bound); !condition(); time.Sleep(interval) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
