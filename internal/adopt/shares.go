package adopt

import (
	"fmt"
	"math"

	"natspread/internal/adopt/walk"
	"natspread/internal/config"
)

// slip is a known mistake: rules that make other shares than their writer meant.
type slip struct {
	name  string
	meant []float64 // of each part; nil where there is no slip
}

// near is how far shares may be from one another to count as the same: 1 % of all connections.
const near = 0.01

// lost is from which part on connections that no rule takes are named.
const lost = 0.0005

// findSlip looks for the two that many rules have: a share that is meant of all connections, and is one of
// what the rules before leave.
func findSlip(s spread) slip {
	n := len(s.list)
	if n < 2 {
		return slip{}
	}
	shares, every, sum, equal := 0, 0, 0.0, true
	for i, rule := range s.list {
		last := i == n-1
		switch {
		case rule.Share.Mode == walk.All || rule.Share.Part >= 1:
			if !last {
				return slip{}
			}
		case rule.Share.Mode == walk.Counter || every > 0 && rule.Share.Mode != walk.Nth:
			return slip{}
		default:
			shares++
			sum += rule.Share.Part
			equal = equal && math.Abs(rule.Share.Part*float64(n)-1) <= 2*near
			if rule.Share.Mode == walk.Nth {
				every = rule.Share.Every
			}
		}
	}
	whole := shares == n && math.Abs(sum-1) <= 2*near
	switch {
	case every > 0 && equal:
		return s.meaning(fmt.Sprintf("each rule takes one of %d of what the rules before it leave, because each counts for itself", every), n, true)
	case equal || whole:
		return s.meaning("each rule takes its share of what the rules before it leave, and not of all", n, equal)
	}
	return slip{}
}

// meaning returns a slip, if what was meant is not what is made anyhow.
func (s spread) meaning(name string, n int, equal bool) slip {
	found := slip{name: name}
	scale, differ := 1.0, s.left > near
	if s.list[len(s.list)-1].Share.Part >= 1 { // what is left, other rules took before
		scale, differ = 1-s.left, false
	}
	for _, p := range s.parts {
		meant := 0.0
		for _, rule := range p.rules {
			if equal {
				meant += 1 / float64(n)
			} else {
				meant += rule.Share.Part
			}
		}
		found.meant = append(found.meant, meant)
		differ = differ || math.Abs(meant-p.share/scale) > near
	}
	if !differ {
		return slip{}
	}
	return found
}

// wanted returns the shares that the config is to have, of what the rules take.
func (d *draft) wanted(choice string) []float64 {
	var list []float64
	sum := 0.0
	for i, p := range d.parts {
		share := p.share
		if d.slip.meant != nil && choice == Meant {
			share = d.slip.meant[i]
		}
		list = append(list, share)
		sum += share
	}
	for i := range list {
		list[i] /= sum
	}
	return list
}

// mostTotal bounds the sum of proposed weights, before what is nearest is taken.
const mostTotal = 4096

// mostExact bounds the sum of weights that are just what the rules say: percents, and small numbers.
const mostExact = 100

// weigh returns the weights of shares that small numbers make, and else small whole weights whose shares are
// within 1 % of all connections, and within 2 % of each share, of the given ones: a share as text is rarely
// what was meant.
func weigh(shares []float64) []int {
	for total := len(shares); total <= mostExact; total++ {
		if weights, _ := rounded(shares, float64(total)); exact(weights, shares) {
			return weights
		}
	}
	for total := len(shares); total <= mostTotal; total++ {
		if weights, good := rounded(shares, float64(total)); good {
			return weights
		}
	}
	smallest := 1.0
	for _, share := range shares {
		smallest = min(smallest, share)
	}
	for least := 1.0; least <= config.MaxWeight; least++ {
		if weights, good := rounded(shares, least/smallest); good {
			return weights
		}
	}
	largest := 0.0
	for _, share := range shares {
		largest = max(largest, share)
	}
	weights, _ := rounded(shares, config.MaxWeight/largest)
	return weights
}

// exact tells whether weights make the shares, but for what a probability is rounded by.
func exact(weights []int, shares []float64) bool {
	sum := 0
	for _, weight := range weights {
		sum += weight
	}
	for i, weight := range weights {
		if math.Abs(float64(weight)/float64(sum)-shares[i]) > 1e-6 {
			return false
		}
	}
	return true
}

// rounded returns the weights of shares of a total, and whether they are near enough.
func rounded(shares []float64, total float64) (weights []int, good bool) {
	sum := 0
	for _, share := range shares {
		weight := max(1, int(math.Round(share*total)))
		weights = append(weights, min(weight, config.MaxWeight))
		sum += weights[len(weights)-1]
	}
	good = true
	for i, share := range shares {
		made := float64(weights[i]) / float64(sum)
		good = good && math.Abs(made-share) <= near && math.Abs(made-share) <= 2.05*near*share
	}
	return weights, good
}
