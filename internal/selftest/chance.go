package selftest

import "math"

// alarm is how often a run may call wrong what is right. It is shared by all that one run compares.
const alarm = 1e-6

// between returns the fewest and the most of n independent connections that a backend with a share
// of them may get: chance alone gives less than least with a probability of at most tail, and more
// than most with the same. The bounds are those of the binomial distribution itself, so they hold
// for few connections and small shares, too.
func between(n int, share, tail float64) (least, most int) {
	if share <= 0 || share >= 1 || n == 0 {
		all := int(math.Round(float64(n) * share))
		return all, all
	}
	return fewest(n, share, tail), n - fewest(n, 1-share, tail)
}

// fewest returns the least number that a binomial variable falls below with a probability of at
// most tail.
func fewest(n int, share, tail float64) int {
	// Below k the terms fall at least by the ratio of the first two: they are no more than a
	// geometric series.
	for k := int(float64(n) * share); k > 0; k-- {
		below := k - 1
		ratio := float64(below) / float64(n-below+1) * (1 - share) / share
		if ratio < 1 && exactly(n, below, share)/(1-ratio) <= tail {
			return k
		}
	}
	return 0
}

// exactly returns the probability that just k of n have a share.
func exactly(n, k int, share float64) float64 {
	logGamma := func(x int) float64 {
		value, _ := math.Lgamma(float64(x) + 1)
		return value
	}
	ways := logGamma(n) - logGamma(k) - logGamma(n-k)
	return math.Exp(ways + float64(k)*math.Log(share) + float64(n-k)*math.Log1p(-share))
}
