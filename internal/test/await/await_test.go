package await

import (
	"testing"
	"time"
)

// TestWithin looks until the condition is true, and no longer than the bound.
func TestWithin(t *testing.T) {
	looks := 0
	if !Within(Bound, func() bool { looks++; return looks == 3 }) || looks != 3 {
		t.Errorf("%d looks", looks)
	}
	if Within(5*time.Millisecond, func() bool { return false }) {
		t.Error("what is never true was true")
	}
	if !Within(0, func() bool { return true }) {
		t.Error("what is true at once was not seen")
	}
}
