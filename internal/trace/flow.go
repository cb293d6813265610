package trace

import (
	"math/big"
	"slices"

	"natspread/internal/rules"
	"natspread/internal/slots"
)

// Flow is some of the connections that a packet may begin, and the work that they
// were so far: how many of natspread's rules the kernel has looked at, from the jump
// in the built-in chain on, whether they matched or not.
type Flow struct {
	Share *big.Rat // of all connections, exact
	Mean  float64  // rules looked at, over the connections of the flow
	Worst int      // rules looked at, by the one that met the most

	// marks are those that a Hash target may have given them, each as often as every other;
	// none where they have the mark with which they came.
	marks []uint16
	mixed bool // they have marks, and not each as often
}

// none is no connection at all.
func none() Flow { return Flow{Share: new(big.Rat)} }

// met adds a rule that the kernel looks at.
func (f Flow) met() Flow {
	f.Mean++
	f.Worst++
	return f
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
		marks: slices.Concat(f.marks, other.marks),
		mixed: f.mixed || other.mixed || !f.marksLike(other),
	}
}

// marksLike tells whether each mark of two flows, which have none in common, has as many
// connections as each other, or neither has marks.
func (f Flow) marksLike(other Flow) bool {
	if len(f.marks) == 0 || len(other.marks) == 0 {
		return len(f.marks) == len(other.marks)
	}
	common := func(mark uint16) bool { return slices.Contains(f.marks, mark) }
	mine := new(big.Rat).Mul(f.Share, big.NewRat(int64(len(other.marks)), 1))
	its := new(big.Rat).Mul(other.Share, big.NewRat(int64(len(f.marks)), 1))
	return mine.Cmp(its) == 0 && !slices.ContainsFunc(other.marks, common)
}

// hashed returns the flow with the marks that a target gives a packet: one slot where the
// client alone decides, and is known, else every slot.
func (f Flow) hashed(target rules.Target, packet rules.Packet) Flow {
	f.mixed = false
	if packet.Source.IsValid() && !target.SourcePort {
		f.marks = []uint16{uint16(slots.Of(packet.Source, int(target.Prefix), int(target.Slots)))}
		return f
	}
	f.marks = make([]uint16, target.Slots)
	for slot := range f.marks {
		f.marks[slot] = uint16(slot)
	}
	return f
}

// splitByMark divides a flow into what a condition on the mark takes and what it leaves. All
// marks are known, and each is as often as the others.
func (f Flow) splitByMark(mark rules.Mark) (taken, left Flow) {
	taken, left = f, f
	taken.marks, left.marks = nil, nil
	for _, each := range f.marks {
		if mark.Holds(int(each)) {
			taken.marks = append(taken.marks, each)
		} else {
			left.marks = append(left.marks, each)
		}
	}
	all := int64(len(f.marks))
	taken.Share = new(big.Rat).Mul(f.Share, big.NewRat(int64(len(taken.marks)), all))
	left.Share = new(big.Rat).Mul(f.Share, big.NewRat(int64(len(left.marks)), all))
	return taken, left
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
