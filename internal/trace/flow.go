package trace

import (
	"math/big"

	"natspread/internal/rules"
)

// Flow is some of the connections that a packet may begin, and the work that they
// were so far: how many of natspread's rules the kernel has looked at, from the jump
// in the built-in chain on, whether they matched or not.
type Flow struct {
	Share *big.Rat // of all connections, exact
	Mean  float64  // rules looked at, over the connections of the flow
	Worst int      // rules looked at, by the one that met the most
}

// none is no connection at all.
func none() Flow { return Flow{Share: new(big.Rat)} }

// met adds a rule that the kernel looks at.
func (f Flow) met() Flow {
	return Flow{Share: f.Share, Mean: f.Mean + 1, Worst: f.Worst + 1}
}

// Work returns all connections of a path, wherever they end.
func (w *Path) Work() Flow {
	all := w.Remainder
	for _, end := range w.Ends() {
		all = all.Join(end.Taken)
	}
	return all
}

// Join adds another flow.
func (f Flow) Join(other Flow) Flow {
	switch {
	case other.Share.Sign() == 0:
		return f
	case f.Share.Sign() == 0:
		return other
	}
	mine, its := f.Part(), other.Part()
	return Flow{
		Share: new(big.Rat).Add(f.Share, other.Share),
		Mean:  (mine*f.Mean + its*other.Mean) / (mine + its),
		Worst: max(f.Worst, other.Worst),
	}
}

// Part returns the share as the nearest number from 0 to 1.
func (f Flow) Part() float64 {
	part, _ := f.Share.Float64()
	return part
}

// split divides a flow into what a statistic match takes and what it leaves.
// Two products stay a third of the size of a product and a difference, which
// tells with a thousand backends.
func (f Flow) split(statistic rules.Statistic) (taken, left Flow) {
	var part, whole int64
	switch {
	case statistic.Steps != 0:
		part, whole = int64(statistic.Steps), rules.ProbabilityScale
	case statistic.Every != 0:
		part, whole = 1, int64(statistic.Every)
	default:
		return f, none()
	}
	taken, left = f, f
	taken.Share, left.Share = big.NewRat(part, whole), big.NewRat(whole-part, whole)
	taken.Share.Mul(taken.Share, f.Share)
	left.Share.Mul(left.Share, f.Share)
	return taken, left
}
