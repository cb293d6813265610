package render

import (
	"fmt"
	"math/big"

	"natspread/nat"
)

// Outcome is one end of a packet's walk and the exact share of connections that
// meet it.
type Outcome struct {
	Target nat.Target
	Share  *big.Rat
}

// Walk sends the first packet of a connection through the own chains of a table,
// from the one that hooks into the built-in chain, and returns every end that it
// can meet, in the order of the rules; shares that sum to less than one mean that
// the rest leaves the table untouched.
//
// It is exact: a random match holds with its steps over 2^31, and of the packets
// that reach an nth match one in every n matches. It fails on a table that jumps
// to a chain that it does not hold, or in a circle.
func Walk(table nat.Table, builtIn string, packet nat.Packet) ([]Outcome, error) {
	walker := walker{table: table, packet: packet, depth: len(table.Chains)}
	if nat.Hooked(builtIn) == "" {
		return nil, nil
	}
	if _, err := walker.chain(nat.Hooked(builtIn), big.NewRat(1, 1), 0); err != nil {
		return nil, err
	}
	return walker.outcomes, nil
}

// walker holds what does not change on the way.
type walker struct {
	table    nat.Table
	packet   nat.Packet
	depth    int // deeper than the number of chains is a circle
	outcomes []Outcome
}

// chain walks the share of connections that enters a chain and returns the share
// that leaves it at its end.
func (w *walker) chain(name string, share *big.Rat, depth int) (*big.Rat, error) {
	chain, found := w.table.Chain(name)
	switch {
	case w.table.Empty():
		return share, nil
	case !found:
		return nil, fmt.Errorf("no chain %q", name)
	case depth > w.depth:
		return nil, fmt.Errorf("chain %q leads to itself", name)
	}
	left := new(big.Rat) // by -g, whose way back leads behind this chain's own caller
	for _, rule := range chain.Rules {
		if share.Sign() == 0 {
			break
		}
		if !rule.Matches(w.packet) {
			continue
		}
		var taken *big.Rat
		taken, share = split(share, rule.Statistic)
		switch kind := rule.Target.Kind; kind {
		case nat.Jump, nat.Goto:
			back, err := w.chain(rule.Target.Chain, taken, depth+1)
			if err != nil {
				return nil, err
			}
			if kind == nat.Jump {
				share.Add(share, back)
			} else {
				left.Add(left, back)
			}
		default:
			w.outcomes = append(w.outcomes, Outcome{Target: rule.Target, Share: taken})
		}
	}
	return share.Add(share, left), nil
}

// split divides a share into what a statistic match takes and what it leaves.
// Two products stay a third of the size of a product and a difference, which
// tells with a thousand backends.
func split(share *big.Rat, statistic nat.Statistic) (taken, left *big.Rat) {
	part := big.NewRat(1, 1)
	switch {
	case statistic.Steps != 0:
		part.SetFrac64(int64(statistic.Steps), nat.Certain)
	case statistic.Every != 0:
		part.SetFrac64(1, int64(statistic.Every))
	}
	rest := new(big.Rat).Sub(big.NewRat(1, 1), part)
	return part.Mul(part, share), rest.Mul(rest, share)
}
