package watcher

import (
	"slices"
	"testing"
	"time"
)

// wantDue asks for when the next load begins; below 0 for none.
func wantDue(t *testing.T, p *pace, want time.Duration) {
	t.Helper()
	at, wanted := p.due()
	if !wanted {
		at = -1
	}
	if at != want {
		t.Errorf("the next load begins at %v, want %v", at, want)
	}
}

// TestPace begins the first load soon, and later ones so that the lock is free most of the time.
func TestPace(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	p := &pace{}
	wantDue(t, p, -1)
	p.want(1000 * ms)
	p.want(1015 * ms) // comes along
	wantDue(t, p, 1020*ms)
	p.begin()
	p.want(1030 * ms) // too late for it
	wantDue(t, p, -1)
	p.end(1040*ms, 20*ms, false)
	wantDue(t, p, 1240*ms)
	p.begin()
	p.end(1340*ms, 100*ms, false)
	wantDue(t, p, -1)
	p.want(1350 * ms)
	wantDue(t, p, 1740*ms)
	p.begin()
	p.end(1800*ms, 10*ms, false)
	p.want(5000 * ms)
	wantDue(t, p, 5020*ms)
}

// TestPaceOfMany waits longer each time while changes go on to come, and not so after a quiet time.
func TestPaceOfMany(t *testing.T) {
	t.Parallel()
	p := &pace{}
	now := time.Duration(0)
	p.want(now)
	var waits []int64
	for range 6 {
		p.begin()
		p.want(now)
		p.end(now, time.Millisecond, false)
		at, _ := p.due()
		waits = append(waits, (at - now).Milliseconds())
		now = at
	}
	if want := []int64{200, 300, 450, 675, 800, 800}; !slices.Equal(waits, want) {
		t.Errorf("it waits %v, want %v", waits, want)
	}
	p.begin()
	p.end(now, time.Millisecond, false)
	p.want(now + 2*time.Second)
	p.begin()
	p.want(now + 2*time.Second)
	p.end(now+2*time.Second, time.Millisecond, false)
	wantDue(t, p, now+2*time.Second+leastWait)
}

// TestRetry waits longer after each failure, and not after a success, nor for what is another thing by then.
func TestRetry(t *testing.T) {
	t.Parallel()
	p := &pace{}
	now := time.Duration(0)
	p.want(now)
	var waits []time.Duration
	for range 7 {
		p.begin()
		p.end(now, time.Millisecond, true)
		at, _ := p.due()
		waits = append(waits, at-now)
		now = at
	}
	if want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second}; !slices.Equal(waits, want) {
		t.Errorf("it waits %v, want %v", waits, want)
	}
	p.hurry(now)
	wantDue(t, p, now)
	p.begin()
	p.end(now, 0, false)
	p.hurry(now) // waits for nothing
	p.want(now)
	wantDue(t, p, now+leastWait)
}
