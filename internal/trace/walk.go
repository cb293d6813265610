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
	Hops      []Hop // the rules that take some, in order
	Remainder Flow  // what no rule took: it goes back, or from a built-in chain on, untouched
}

// Hop is a rule that takes some of the connections that reach it.
type Hop struct {
	Place int // of the rule in its chain, from 1
	Rule  rules.Rule
	Taken Flow
	Into  *Path // the chain that the rule leads to; nil where it is an end
}

// Ends returns the rules that are ends, in their order.
func (w *Path) Ends() []Hop {
	var ends []Hop
	for _, hop := range w.Hops {
		if hop.Into != nil {
			ends = append(ends, hop.Into.Ends()...)
		} else {
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
		if target := end.Rule.Target; !known[target] {
			known[target] = true
			targets = append(targets, target)
		}
	}
	return targets
}

// Trace sends the first packet of a connection through a built-in chain of a table,
// and returns its path.
//
// It is exact: a random match holds with its steps over 2^31, and of the packets
// that reach an nth match one in every n matches. It fails on a table that jumps
// to a chain that it does not hold, or in a circle.
func Trace(table rules.Table, builtIn string, packet rules.Packet) (*Path, error) {
	walker := walker{table: table, packet: packet, depth: len(table.Chains)}
	return walker.chain(rules.Chain{Name: builtIn, Rules: table.Jumps(builtIn)}, Flow{Share: big.NewRat(1, 1)}, 0)
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
	left := none() // by -g, whose way back leads behind this chain's own caller
	for i, rule := range chain.Rules {
		if path.Remainder.Share.Sign() == 0 {
			break
		}
		path.Remainder = path.Remainder.met()
		if !rule.Matches(w.packet) {
			continue
		}
		hop := Hop{Place: i + 1, Rule: rule}
		hop.Taken, path.Remainder = path.Remainder.split(rule.Statistic)
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
