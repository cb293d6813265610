package config

import (
	"net/netip"
	"slices"
	"testing"
)

// weighing returns a service whose backends have these weights.
func weighing(weights ...int) Service {
	var service Service
	for i, weight := range weights {
		service.Backends = append(service.Backends, Backend{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Weight: weight})
	}
	return service
}

// TestActive leaves out the drained backends, and changes nothing in the service.
func TestActive(t *testing.T) {
	for _, weights := range [][]int{nil, {0}, {0, 0}, {1}, {3, 2}, {0, 3, 0, 2, 0}, {1, 0}} {
		service := weighing(weights...)
		var want []Backend
		for _, b := range service.Backends {
			if b.Weight > 0 {
				want = append(want, b)
			}
		}
		if got := service.Active(); !slices.Equal(got, want) {
			t.Errorf("%v: %v", weights, got)
		}
		if !slices.Equal(service.Backends, weighing(weights...).Backends) {
			t.Errorf("%v became %v", weights, service.Backends)
		}
	}
}

// TestTurns finds the shortest period.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		weights         []int
		period, divisor int
	}{
		{nil, 0, 1}, {[]int{0, 0}, 0, 1}, {[]int{7}, 1, 7}, {[]int{3, 2}, 5, 1}, {[]int{30, 0, 20}, 5, 10}, {[]int{4, 6, 10}, 10, 2}, {[]int{65535, 65535}, 2, 65535},
	} {
		if period, divisor := Turns(weighing(c.weights...).Backends); period != c.period || divisor != c.divisor {
			t.Errorf("%v: a period of %d, divided by %d", c.weights, period, divisor)
		}
	}
}
