package units

import (
	"testing"
	"time"
)

// TestWaitLeavesTime lets restore give up by itself, and say why, before systemd kills it: when
// the time is over, an iptables-restore may just have begun to wait for five seconds more.
func TestWaitLeavesTime(t *testing.T) {
	start, err := time.ParseDuration(startTimeout)
	if err != nil {
		t.Fatal(err)
	}
	wait, err := time.ParseDuration(lockWait)
	if err != nil {
		t.Fatal(err)
	}
	if left := start - wait; left < 10*time.Second {
		t.Errorf("%v are left, want 10s", left)
	}
}
