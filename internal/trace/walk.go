package trace

import (
	"fmt"
	"math/big"

	"natspread/internal/rules"
)

// Outcome is one end of a packet's walk and the exact share of connections that
// meet it.
type Outcome struct {
	Target rules.Target
	Share  *big.Rat
}

// Walk sends the first packet of a connection through the own chains of a table,
// from the one that hooks into the built-in chain, and returns every end that it
// can meet, in the order of the rules; shares that sum to less than one mean that
// the rest leaves the table untouched. It fails as Trace does.
func Walk(table rules.Table, builtIn string, packet rules.Packet) ([]Outcome, error) {
	way, err := Trace(table, builtIn, packet)
	if err != nil {
		return nil, err
	}
	var outcomes []Outcome
	way.ends(func(end Step) {
		outcomes = append(outcomes, Outcome{Target: end.Rule.Target, Share: end.Taken.Share})
	})
	return outcomes, nil
}

// Way is what the connections that one packet may begin meet in a chain.
type Way struct {
	Chain string
	Rules int    // how many the chain has; of a built-in one only natspread's jump counts
	Steps []Step // the rules that take some, in order
	Left  Flow   // what no rule took: it goes back, or from a built-in chain on, untouched
}

// Step is a rule that takes some of the connections that reach it.
type Step struct {
	Place int // of the rule in its chain, from 1
	Rule  rules.Rule
	Taken Flow
	Into  *Way // the chain that the rule leads to; nil where it is an end
}

// ends calls do for each rule that is an end, in the order of the rules.
func (w *Way) ends(do func(Step)) {
	for _, step := range w.Steps {
		if step.Into != nil {
			step.Into.ends(do)
		} else {
			do(step)
		}
	}
}

// Targets returns where connections end, each target once, in the order of the rules.
func (w *Way) Targets() []rules.Target {
	var targets []rules.Target
	known := map[rules.Target]bool{}
	w.ends(func(end Step) {
		if target := end.Rule.Target; !known[target] {
			known[target] = true
			targets = append(targets, target)
		}
	})
	return targets
}

// Trace sends the first packet of a connection through a built-in chain of a table,
// and returns its way.
//
// It is exact: a random match holds with its steps over 2^31, and of the packets
// that reach an nth match one in every n matches. It fails on a table that jumps
// to a chain that it does not hold, or in a circle.
func Trace(table rules.Table, builtIn string, packet rules.Packet) (*Way, error) {
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
func (w *walker) chain(chain rules.Chain, in Flow, depth int) (*Way, error) {
	way := &Way{Chain: chain.Name, Rules: len(chain.Rules), Left: in}
	left := none() // by -g, whose way back leads behind this chain's own caller
	for i, rule := range chain.Rules {
		if way.Left.Share.Sign() == 0 {
			break
		}
		way.Left = way.Left.met()
		if !rule.Matches(w.packet) {
			continue
		}
		step := Step{Place: i + 1, Rule: rule}
		step.Taken, way.Left = way.Left.split(rule.Statistic)
		if rule.Target.Chain != "" {
			into, err := w.into(chain.Name, rule.Target.Chain, step.Taken, depth+1)
			if err != nil {
				return nil, err
			}
			step.Into = into
			if rule.Target.Kind == rules.Jump {
				way.Left = way.Left.Join(into.Left)
			} else {
				left = left.Join(into.Left)
			}
		}
		way.Steps = append(way.Steps, step)
	}
	way.Left = way.Left.Join(left)
	return way, nil
}

// into walks what a rule sends to another chain.
func (w *walker) into(from, name string, taken Flow, depth int) (*Way, error) {
	chain, found := w.table.Chain(name)
	switch {
	case !found:
		return nil, fmt.Errorf("chain %q leads to %q, which there is not", from, name)
	case depth > w.depth:
		return nil, fmt.Errorf("chain %q leads to itself", name)
	}
	return w.chain(chain, taken, depth)
}
