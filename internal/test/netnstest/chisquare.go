package netnstest

import "math"

const (
	// significance is the chance of calling a fair spread unfair. A whole run of the
	// tests takes some thirty samples, and may be run many times a day.
	significance = 1e-6

	// minExpected is the count below which the statistic's distribution is no
	// longer close to chi-square, so that nothing could be said.
	minExpected = 1
)

// ChiSquare is Pearson's goodness-of-fit test of counts against shares, which
// may be weights: they are divided by their sum. ok means that shares as wanted
// give a statistic at least this large in more than 1 of 1,000,000 samples. A count
// where none is wanted, counts and shares of different number, and a sample too
// small to judge by are never ok.
func ChiSquare(observed []int, wantShares []float64) (statistic float64, ok bool) {
	n, sum := 0, 0.0
	for _, o := range observed {
		n += o
	}
	for _, w := range wantShares {
		sum += w
	}
	if n == 0 || sum <= 0 || len(observed) != len(wantShares) {
		return math.Inf(1), false
	}
	kinds := 0
	for i, o := range observed {
		expected := float64(n) * wantShares[i] / sum
		switch {
		case expected == 0 && o == 0:
			continue
		case expected < minExpected || math.IsNaN(expected):
			return math.Inf(1), false
		}
		kinds++
		statistic += (float64(o) - expected) * (float64(o) - expected) / expected
	}
	return statistic, kinds == 1 || upperTail(statistic, kinds-1) > significance
}

// upperTail is the chance that a chi-square variable with that many degrees of
// freedom is larger than x: the regularized upper incomplete gamma function
// Q(df/2, x/2).
func upperTail(x float64, df int) float64 {
	a, x := float64(df)/2, x/2
	if x <= 0 {
		return 1
	}
	logGamma, _ := math.Lgamma(a)
	scale := math.Exp(a*math.Log(x) - x - logGamma)
	if x < a+1 {
		return 1 - scale*lowerSeries(a, x)
	}
	return scale * upperFraction(a, x)
}

// lowerSeries sums x^k / (a (a+1) ... (a+k)), which converges fast for x < a+1.
func lowerSeries(a, x float64) float64 {
	term := 1 / a
	sum := term
	for k := 1.0; term > sum*1e-15; k++ {
		term *= x / (a + k)
		sum += term
	}
	return sum
}

// upperFraction evaluates the continued fraction 1/(x+1-a- 1(1-a)/(x+3-a- ...))
// from its far end; the depth is ample for x >= a+1.
func upperFraction(a, x float64) float64 {
	depth := 200 + 10*math.Sqrt(a)
	tail := 0.0
	for k := math.Floor(depth); k >= 1; k-- {
		tail = k * (a - k) / (x + 2*k + 1 - a + tail)
	}
	return 1 / (x + 1 - a + tail)
}
