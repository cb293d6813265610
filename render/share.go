package render

import (
	"math/bits"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// interval is what reaches a chain or a rule of those connections that reach a service,
// which are laid out as a line of whole parts: each backend ought to have its weight's
// part of it, in order.
type interval struct {
	share  uint64 // how many parts reach it
	after  uint64 // how many are behind those, and reach others
	weight uint64 // of the backends behind
}

// shares returns what the rules of a chain take of what reaches it, by the weights of
// the backends that each leads to, whose sum in the service is sum, and the
// probabilities for it. The last rule takes the rest, and its probability has no steps.
//
// The kernel compares 31 random bits with a number of steps, so each probability is
// rounded to a step. Each is computed from where the rule's part of the line in fact
// begins and ought to end, so an earlier rounding is corrected, not passed on: thousands
// of light backends before a heavy one would add up to far more than 1e-8. As it is,
// both ends are within half a step, and no share is further than 2^-31 from its weight
// over the sum.
func shares(weights []uint64, sum uint64, at interval) (probabilities []rules.Statistic, taken []interval) {
	probabilities, taken = make([]rules.Statistic, len(weights)), make([]interval, len(weights))
	left, share := total(weights), at.share
	for i, weight := range weights {
		left -= weight
		taken[i] = interval{share: share, after: at.after, weight: at.weight + left}
		if left == 0 {
			break
		}
		stay := mulDiv(at.weight+left, unit, sum) - at.after
		steps := mulDiv(share-stay, rules.ProbabilityScale, share)
		probabilities[i].Steps = uint32(steps)
		taken[i].share = mulDiv(share, steps, rules.ProbabilityScale)
		share -= taken[i].share
		taken[i].after += share
	}
	return probabilities, taken
}

// total adds weights.
func total(weights []uint64) uint64 {
	sum := uint64(0)
	for _, weight := range weights {
		sum += weight
	}
	return sum
}

// unit is all connections, in the unit in which shares counts what reaches a rule:
// fine enough that thousands of roundings stay far below a step.
const unit = 1 << 62

// mulDiv returns a*b/c, rounded to the nearest; the quotient must fit. Integers
// give the same bytes on every machine, which floats do not promise.
func mulDiv(a, b, c uint64) uint64 {
	high, low := bits.Mul64(a, b)
	low, carry := bits.Add64(low, c/2, 0)
	quotient, _ := bits.Div64(high+carry, low, c)
	return quotient
}

// turns returns one period of the weighted round-robin as indices of backends:
// each has its weight, over the greatest common divisor of all, as its number of
// turns. The heaviest backend's turns are spread evenly over the period, the
// next one's evenly over what is left, and so on, so no backend's turns bunch.
func turns(backends []config.Backend) []int {
	period, divisor := config.Turns(backends)
	heaviestFirst := make([]int, len(backends))
	for i := range heaviestFirst {
		heaviestFirst[i] = i
	}
	slices.SortStableFunc(heaviestFirst, func(a, b int) int {
		return backends[b].Weight - backends[a].Weight
	})
	result := make([]int, period)
	free := make([]int, period) // the places still to be given away, in order
	for i := range free {
		free[i] = i
	}
	for _, backend := range heaviestFirst {
		free = spread(result, free, backend, backends[backend].Weight/divisor)
	}
	return result
}

// spread gives count of the free places to a backend, as evenly as they can lie
// (Bresenham's line), the first place among them, and returns the others.
func spread(result, free []int, backend, count int) []int {
	rest := free[:0]
	total := len(free)
	for i, place := range free {
		if i*count%total < count {
			result[place] = backend
		} else {
			rest = append(rest, place)
		}
	}
	return rest
}
