package netnstest

import (
	"math"
	"testing"
)

func TestChiSquare(t *testing.T) {
	thousand := make([]int, 1000)
	equal := make([]float64, 1000)
	for i := range thousand {
		thousand[i], equal[i] = 3, 1
	}
	for _, c := range []struct {
		name     string
		observed []int
		shares   []float64
		want     float64
		ok       bool
	}{
		{"exact", []int{1000, 1000, 1000}, []float64{1, 1, 1}, 0, true},
		{"weights", []int{100, 200}, []float64{2, 4}, 0, true},
		{"just within, 1 degree", []int{577, 423}, []float64{.5, .5}, 23.716, true},
		{"just outside, 1 degree", []int{578, 422}, []float64{.5, .5}, 24.336, false},
		{"just within, 2 degrees", []int{1117, 1000, 883}, []float64{1, 1, 1}, 27.378, true},
		{"just outside, 2 degrees", []int{1118, 1000, 882}, []float64{1, 1, 1}, 27.848, false},
		{"first rule without its probability", []int{3000, 0, 0}, []float64{1, 1, 1}, 6000, false},
		{"a third read as a half", []int{1500, 750, 750}, []float64{1, 1, 1}, 375, false},
		{"drained", []int{500, 0, 500}, []float64{1, 0, 1}, 0, true},
		{"not drained", []int{500, 1, 500}, []float64{1, 0, 1}, math.Inf(1), false},
		{"one backend", []int{50}, []float64{7}, 0, true},
		{"a stranger answered", []int{500, 500, 1}, []float64{1, 1}, math.Inf(1), false},
		{"nothing asked", []int{0, 0}, []float64{1, 1}, math.Inf(1), false},
		{"nothing wanted", []int{1, 1}, []float64{0, 0}, math.Inf(1), false},
		{"too few", []int{1, 0, 0}, []float64{1, 1, 1}, math.Inf(1), false},
		{"not a number", []int{50, 50}, []float64{1, math.NaN()}, math.Inf(1), false},
		{"thousand", thousand, equal, 0, true},
	} {
		got, ok := ChiSquare(c.observed, c.shares)
		if ok != c.ok || got != c.want && math.Abs(got-c.want) > 0.001 {
			t.Errorf("%s: %v %v, want %v %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// TestUpperTail compares with what the tail is for even degrees, the sum of a
// Poisson distribution, and with erfc for one degree.
func TestUpperTail(t *testing.T) {
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, df := range []int{2, 4, 10, 100, 1000, 4096} {
		for _, factor := range []float64{0.5, 0.9, 1, 1.1, 1.5} {
			x := float64(df) * factor
			sum, logTerm := 0.0, -x/2
			for k := range df / 2 {
				sum += math.Exp(logTerm)
				logTerm += math.Log(x/2) - math.Log(float64(k+1))
			}
			near("poisson", upperTail(x, df), sum)
		}
	}
	for _, x := range []float64{0.01, 1, 3, 10.828, 40} {
		near("erfc", upperTail(x, 1), math.Erfc(math.Sqrt(x/2)))
	}
}
