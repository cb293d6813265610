package render

import (
	"math/bits"
	"slices"

	"natspread/config"
	"natspread/nat"
)

// random returns the rules that pick a backend by its weight: each takes its
// part of what the ones before it left, and the last takes the rest.
//
// The kernel compares 31 random bits with a number of steps, so each probability
// is rounded to a step. Each is computed from what in fact reaches its rule, not
// from what ought to, so an earlier rounding is mended, not passed on: thousands
// of light backends before a heavy one would add up to far more than 1e-8. As it
// is, no share is further than 2^-31 from its weight over the sum.
func random(backends []config.Backend) []nat.Rule {
	sum := uint64(0)
	for _, backend := range backends {
		sum += uint64(backend.Weight)
	}
	rules := make([]nat.Rule, len(backends))
	left, reaches := sum, uint64(whole)
	for i, backend := range backends {
		rules[i].Target = dnat(backend)
		left -= uint64(backend.Weight)
		if left == 0 {
			break
		}
		steps := mulDiv(reaches-mulDiv(left, whole, sum), nat.Certain, reaches)
		rules[i].Statistic.Steps = uint32(steps)
		reaches -= mulDiv(reaches, steps, nat.Certain)
	}
	return rules
}

// whole is all connections, in the unit in which random counts what reaches a
// rule: fine enough that thousands of roundings stay far below a step.
const whole = 1 << 62

// mulDiv returns a*b/c, rounded to the nearest; the quotient must fit. Integers
// give the same bytes on every machine, which floats do not promise.
func mulDiv(a, b, c uint64) uint64 {
	high, low := bits.Mul64(a, b)
	low, carry := bits.Add64(low, c/2, 0)
	quotient, _ := bits.Div64(high+carry, low, c)
	return quotient
}

// roundRobin returns the rules of one period of turns, a rule a turn. The first
// takes one of every n connections, the second one of every n-1 of the rest, and
// so on: within a period each turn comes once, in order.
func roundRobin(backends []config.Backend) []nat.Rule {
	turns := turns(backends)
	rules := make([]nat.Rule, len(turns))
	for i, turn := range turns {
		rules[i].Target = dnat(backends[turn])
		if left := len(turns) - i; left > 1 {
			rules[i].Statistic.Every = uint32(left)
		}
	}
	return rules
}

// turns returns one period of the weighted round-robin as indices of backends:
// each has its weight, over the greatest common divisor of all, as its number of
// turns. The heaviest backend's turns are spread evenly over the period, the
// next one's evenly over what is left, and so on, so no backend's turns bunch.
func turns(backends []config.Backend) []int {
	divisor, period := 0, 0
	for _, backend := range backends {
		divisor = gcd(divisor, backend.Weight)
		period += backend.Weight
	}
	period /= divisor
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

// gcd returns the greatest common divisor.
func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
