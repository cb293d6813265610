package trace

import (
	"fmt"
	"math/big"

	"natspread/internal/rules"
)

// Path is what the connections that one packet may begin meet in a chain.
type Path struct {
	Chain     string
	Rules     int   // how many the chain has; of a built-in one only natspread's jump counts
	Hash      *Hash // the rule that puts them into slots; nil where there is none
	Hops      []Hop // the rules that take some, or change their segments, in order
	Remainder Flow  // what no rule took: it goes back, or from a built-in chain on, untouched
}

// Hop is a rule that takes some of the connections that reach it.
type Hop struct {
	Place int // of the rule in its chain, from 1
	Rule  rules.Rule
	Taken Flow
	Into  *Path // the chain that the rule leads to; nil where it is an end
}

// Hash is a rule that gives each connection its slot as a mark, and takes none.
type Hash struct {
	Place  int // of the rule in its chain, from 1
	Target rules.Target
}

// hash returns the part of a path that begins in the chain with the rule that puts connections into
// slots, nil where there is none.
func (w *Path) hash() *Path {
	if w.Hash != nil {
		return w
	}
	for _, hop := range w.Hops {
		if hop.Into != nil && hop.Into.hash() != nil {
			return hop.Into.hash()
		}
	}
	return nil
}

// Ends returns the rules that are ends, in their order.
func (w *Path) Ends() []Hop {
	var ends []Hop
	for _, hop := range w.Hops {
		switch {
		case hop.Into != nil:
			ends = append(ends, hop.Into.Ends()...)
		case hop.Rule.Target.Kind != rules.Return:
			ends = append(ends, hop)
		}
	}
	return ends
}

// Targets returns where connections end, each target once, in the order of the rules.
func (w *Path) Targets() []rules.Target {
	var targets []rules.Target
	known := map[rules.Target]bool{}
	for _, end := range w.Ends() {
		if target := end.Rule.Leads(); !known[target] {
			known[target] = true
			targets = append(targets, target)
		}
	}
	return targets
}

// share returns which part of all connections ends at a target.
func (w *Path) share(target rules.Target) *big.Rat {
	share := new(big.Rat)
	for _, end := range w.Ends() {
		if end.Rule.Leads() == target {
			share.Add(share, end.Taken.Share)
		}
	}
	return share
}

// Trace sends the first packet of a connection through a built-in chain of a table,
// and returns its path.
//
// It is exact: a random match holds with its steps over 2^31, and of the packets
// that reach an nth match one in every n matches. Of the slots of a Hash target a known client
// is in one, and of all others the same number in each. It fails on a table that jumps to a
// chain that it does not hold, or in a circle, or asks for marks that are not known.
func Trace(table rules.Table, builtIn string, packet rules.Packet) (*Path, error) {
	return traceFrom(table, rules.Chain{Name: builtIn, Rules: table.Jumps(builtIn)}, packet)
}

// traceFrom is Trace from any chain on.
func traceFrom(table rules.Table, chain rules.Chain, packet rules.Packet) (*Path, error) {
	walker := walker{table: table, packet: packet, depth: len(table.Chains)}
	return walker.chain(chain, Flow{Share: big.NewRat(1, 1)}, 0)
}

// walker holds what does not change on the way.
type walker struct {
	table  rules.Table
	packet rules.Packet
	depth  int // deeper than the number of chains is a circle
}

// chain walks what enters a chain.
func (w *walker) chain(chain rules.Chain, in Flow, depth int) (*Path, error) {
	path := &Path{Chain: chain.Name, Rules: len(chain.Rules), Remainder: in}
	left := none() // by -g or RETURN, whose way back leads behind this chain's own caller
	for i, rule := range chain.Rules {
		if path.Remainder.Share.Sign() == 0 {
			break
		}
		path.Remainder = path.Remainder.met()
		if !rule.Matches(w.packet) {
			continue
		}
		if !rule.Target.Ends() {
			w.goOn(path, i+1, rule)
			continue
		}
		hop := Hop{Place: i + 1, Rule: rule, Taken: path.Remainder}
		var passed Flow
		if passed = none(); rule.Mark != (rules.Mark{}) {
			if path.Remainder.mixed || len(path.Remainder.marks) == 0 {
				return nil, fmt.Errorf("chain %q, rule %d asks for a mark that is not known", chain.Name, i+1)
			}
			hop.Taken, passed = path.Remainder.splitByMark(rule.Mark)
		}
		hop.Taken, path.Remainder = hop.Taken.split(rule.Statistic)
		path.Remainder = path.Remainder.Join(passed)
		if hop.Taken.Share.Sign() == 0 {
			continue
		}
		if rule.Target.Kind == rules.Return {
			left = left.Join(hop.Taken)
		}
		if rule.Target.Chain != "" {
			into, err := w.into(chain.Name, rule.Target.Chain, hop.Taken, depth+1)
			if err != nil {
				return nil, err
			}
			hop.Into = into
			if rule.Target.Kind == rules.Jump {
				path.Remainder = path.Remainder.Join(into.Remainder)
			} else {
				left = left.Join(into.Remainder)
			}
		}
		path.Hops = append(path.Hops, hop)
	}
	path.Remainder = path.Remainder.Join(left)
	return path, nil
}

// goOn does to all that is left of a path what a rule does that is no end: it gives them marks, or
// shorter segments.
func (w *walker) goOn(path *Path, place int, rule rules.Rule) {
	switch rule.Target.Kind {
	case rules.RestoreMark:
		path.Remainder.marks, path.Remainder.mixed = nil, false
	case rules.ClampMSS:
		path.Hops = append(path.Hops, Hop{Place: place, Rule: rule, Taken: path.Remainder})
	default:
		path.Hash = &Hash{Place: place, Target: rule.Target}
		path.Remainder = path.Remainder.hashed(rule.Target, w.packet)
	}
}

// into walks what a rule sends to another chain.
func (w *walker) into(from, name string, taken Flow, depth int) (*Path, error) {
	chain, found := w.table.Chain(name)
	switch {
	case !found:
		return nil, fmt.Errorf("chain %q leads to %q, which there is not", from, name)
	case depth > w.depth:
		return nil, fmt.Errorf("chain %q leads to itself", name)
	}
	return w.chain(chain, taken, depth)
}
