package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// lastLost is how long after a moment the last connection began that was then lost; 0 where
// none was.
func lastLost(shots []shot, from, to time.Time) (last time.Duration) {
	for _, s := range shots {
		if s.outcome != good && !s.begin.Before(from) && s.begin.Before(to) {
			last = max(last, s.begin.Sub(from))
		}
	}
	return last
}

// lostAfter counts the connections that began then or later and were lost.
func lostAfter(shots []shot, from time.Time) (lost int) {
	for _, s := range shots {
		if s.outcome != good && !s.begin.Before(from) {
			lost++
		}
	}
	return lost
}

// firstOf is how long after a moment a backend first answered a connection that began after
// it; found is false where it never did.
func firstOf(shots []shot, backend string, from time.Time) (first time.Duration, found bool) {
	for _, s := range shots {
		if after := s.begin.Sub(from); s.outcome == good && s.backend == backend && after >= 0 && (!found || after < first) {
			first, found = after, true
		}
	}
	return first, found
}

// outcomes counts connections by their outcomes.
func outcomes(shots []shot) map[string]int {
	all := map[string]int{}
	for _, s := range shots {
		all[s.outcome]++
	}
	return all
}

// median returns the one in the middle.
func median[T cmp.Ordered](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// intervals writes a time in intervals of a check.
func intervals(d time.Duration) string {
	return fmt.Sprintf("%.2f", float64(d)/float64(interval))
}

// atMost is an error where a time is more than so many intervals.
func atMost(what string, d time.Duration, most float64) error {
	if d > time.Duration(most*float64(interval)) {
		return fmt.Errorf("%s: %s intervals, more than %.1f", what, intervals(d), most)
	}
	return nil
}
