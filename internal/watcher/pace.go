package watcher

import "time"

// Bounds of how often rules are loaded.
const (
	// firstWait is from the first change after a quiet time to its load: what dies at once is
	// mostly found out at once.
	firstWait = 20 * time.Millisecond
	// leastWait is from the end of a load to the next one. While changes go on to come each wait
	// is half as long again, to mostWait: many that die at once are found out over an interval.
	leastWait, mostWait = 200 * time.Millisecond, 800 * time.Millisecond
	// quietTime without a change makes the next wait short again.
	quietTime = time.Second
	// restFactor times the last load is the same: so the lock is free most of the time.
	restFactor = 4
	// firstRetry is from a failed load to the next one. Each wait doubles, to longestRetry.
	firstRetry, longestRetry = time.Second, 30 * time.Second
)

// pace says when the next load may begin.
type pace struct {
	wanted  bool // the rules are not yet as they should be
	loading bool
	since   time.Duration // when that was first wanted
	rest    time.Duration // no load before
	ended   time.Duration // the last load
	wait    time.Duration // from there to rest, at least
	retry   time.Duration // the wait after the last failure; 0 after a success
}

// want asks for a load.
func (p *pace) want(now time.Duration) {
	if p.wanted {
		return
	}
	p.wanted, p.since = true, now
	if !p.loading && now-p.ended > quietTime {
		p.wait = 0
	}
}

// due returns when a load is to begin, if one is wanted and none is under way.
func (p *pace) due() (at time.Duration, wanted bool) {
	return max(p.since+firstWait, p.rest), p.wanted && !p.loading
}

// begin says that a load begins, which takes all that is known by now.
func (p *pace) begin() { p.wanted, p.loading = false, true }

// end says how a load ended that took so long. One that failed is wanted again.
func (p *pace) end(now, took time.Duration, failed bool) {
	p.loading, p.ended = false, now
	if !failed {
		p.retry = 0
		p.wait = min(max(p.wait+p.wait/2, leastWait), mostWait)
		p.rest = now + max(p.wait, restFactor*took)
		return
	}
	p.retry = min(max(2*p.retry, firstRetry), longestRetry)
	p.rest = now + p.retry
	p.want(now)
}

// hurry forgets the wait after a failure: what failed is not what is wanted now.
func (p *pace) hurry(now time.Duration) {
	if p.retry > 0 {
		p.retry, p.rest = 0, now
	}
}
