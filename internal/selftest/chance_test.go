package selftest

import (
	"math"
	"testing"
)

// TestBetween compares the bounds with the sums of the distribution, which may not be more than
// they say, and not much less.
func TestBetween(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 7, 240, 3000} {
		for _, share := range []float64{0.001, 0.04, 1.0 / 3, 0.5, 0.9, 0.9999} {
			for _, tail := range []float64{1e-3, 1e-6, 1e-9} {
				least, most := between(n, share, tail)
				below, above := 0.0, 0.0
				for k := range n + 1 {
					if k < least {
						below += exactly(n, k, share)
					}
					if k > most {
						above += exactly(n, k, share)
					}
				}
				if below > tail || above > tail || least > most {
					t.Errorf("%d of %v: %d to %d, beyond which are %v and %v, not %v", n, share, least, most, below, above, tail)
				}
				// One step further in would be too many.
				if k := least; k < n && below+exactly(n, k, share) < tail/20 || most > 0 && above+exactly(n, most, share) < tail/20 {
					t.Errorf("%d of %v: %d to %d is too wide for %v", n, share, least, most, tail)
				}
			}
		}
	}
}

// TestBetweenCertain has no room where nothing is left to chance.
func TestBetweenCertain(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]int{0: 0, 1: 240} {
		if least, most := between(240, share, alarm); least != want || most != want {
			t.Errorf("%v: %d to %d", share, least, most)
		}
	}
	if least, most := between(0, 0.5, alarm); least != 0 || most != 0 {
		t.Errorf("none: %d to %d", least, most)
	}
	total := 0.0
	for k := range 101 {
		total += exactly(100, k, 0.3)
	}
	if math.Abs(total-1) > 1e-9 {
		t.Errorf("all together are %v", total)
	}
}
