package rules

import (
	"net/netip"
	"slices"
)

// A ForwardPlacer judges where the jumps in FORWARD belong among the rules of others. Before
// the first rule that closes, or the first jump to a chain with one, they let own connections
// pass; every ban before it holds. Where nothing closes they belong behind all others.
//
// A rule closes when it drops or rejects and can take a connection of ours whoever the client
// is: see candidate. All else that drops, and all that is not known, is taken for a ban.
// So what is not known keeps a connection out rather than that it passes a ban.
type ForwardPlacer struct {
	// Link returns the interface by which a route leads to an address now; "" where none does.
	Link func(netip.Addr) string
}

// Place returns the place of the first of a table's jumps in FORWARD, from 1 as in iptables -I
// once all jumps of natspread's are taken out; 1 for a table that has none there.
func (p ForwardPlacer) Place(saved Saved, table Table) int {
	switch {
	case table.Empty() || saved.Name == NAT:
		return 1
	case saved.Name == Mangle:
		return placeInMangle(saved)
	}
	walk := placeWalk{chains: chainsByName(saved)}
	own := p.candidates(table)
	forward, _ := saved.Chain(Forward)
	place := 1
	for _, rule := range forward.Rules {
		if IsOwn(rule.JumpsTo()) {
			continue
		}
		var closes bool
		if closes, own, _ = walk.rule(rule, own, 0); closes {
			return place
		}
		place++
	}
	return place
}

// placeInMangle returns where the jump in FORWARD of the mangle table stands, if every packet gets past
// what others have before it, as past a mark; else 1.
func placeInMangle(saved Saved) int {
	forward, _ := saved.Chain(Forward)
	for i, rule := range forward.Rules {
		target := rule.JumpsTo()
		if IsOwn(target) {
			return i + 1
		}
		if !Passes(target) {
			break
		}
	}
	return 1
}

// chainsByName returns the chains of a table by their names.
func chainsByName(saved Saved) map[string]SavedChain {
	chains := make(map[string]SavedChain, len(saved.Chains))
	for _, chain := range saved.Chains {
		chains[chain.Name] = chain
	}
	return chains
}

// candidates returns the packets of own connections, as the accepts of a table have them: of
// each the first one and its answer. With takeover the first one is the backend's, too.
func (p ForwardPlacer) candidates(table Table) []*candidate {
	links := map[netip.Addr]string{}
	link := func(address netip.Addr) string {
		if _, known := links[address]; !known {
			links[address] = p.Link(address)
		}
		return links[address]
	}
	var all []*candidate
	for _, chain := range table.Chains {
		for _, rule := range chain.Rules {
			if rule.Target.Kind == Accept && rule.ConnectionProtocol != "" {
				one := candidate{protocol: rule.ConnectionProtocol, backend: rule.ReplySource, port: rule.ReplyPorts, link: link}
				if rule.OriginalSource.IsValid() {
					one.backend, one.port, one.leaves = rule.OriginalSource, rule.OriginalSourcePorts, true
				}
				answer := one
				answer.answers, answer.leaves = true, !one.leaves
				all = append(all, &one, &answer)
			}
		}
	}
	return all
}

// placeWalk follows candidates through the chains of a filter table.
type placeWalk struct{ chains map[string]SavedChain }

// mostJumps bounds how many chains lead to one another; iptables takes no circle.
const mostJumps = 32

// chain tells whether a rule of a chain closes, and returns the candidates that come back
// from it.
func (w placeWalk) chain(name string, own []*candidate, depth int) (closes bool, back []*candidate) {
	if depth > mostJumps {
		return false, own
	}
	for _, rule := range w.chains[name].Rules {
		var left []*candidate
		if closes, own, left = w.rule(rule, own, depth); closes {
			return true, nil
		}
		back = append(back, left...)
	}
	return false, append(back, own...)
}

// rule tells whether a rule closes, and returns the candidates that meet the next one, and
// those that go back to the chain before.
func (w placeWalk) rule(rule SavedRule, own []*candidate, depth int) (closes bool, on, back []*candidate) {
	target := rule.JumpsTo()
	if len(own) == 0 || Passes(target) {
		return false, own, nil
	}
	conditions := conditionsOf(rule)
	var taken, whole []*candidate
	for _, c := range own {
		switch c.reach(conditions) {
		case always:
			whole, taken = append(whole, c), append(taken, c)
		case anybody:
			taken, on = append(taken, c), append(on, c)
		default:
			on = append(on, c)
		}
	}
	switch _, user := w.chains[target]; {
	case target == "DROP" || target == "REJECT" || target == "TARPIT":
		return slices.ContainsFunc(taken, func(c *candidate) bool { return c.mayBegin(conditions) }), own, nil
	case target == "ACCEPT":
		return false, on, nil
	case target == "RETURN":
		return false, on, whole
	case !user:
		return false, own, nil // NFQUEUE and the like: a program decides
	}
	closes, left := w.chain(target, taken, depth+1)
	left = both(whole, left)
	if rule.goesTo() {
		return closes, on, left
	}
	return closes, append(on, left...), nil
}

// both returns those of a list that are among others.
func both(list, others []*candidate) []*candidate {
	among := make(map[*candidate]bool, len(others))
	for _, c := range others {
		among[c] = true
	}
	var found []*candidate
	for _, c := range list {
		if among[c] {
			found = append(found, c)
		}
	}
	return found
}
