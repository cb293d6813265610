package render

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// The layout of a gate. With sixteen branches a chain is as fast as with four, and a packet passes
// half as many chains.
const (
	gateFan   = 16 // branches of a chain, and subnets in a plain list
	gateLeaf  = 4  // subnets that are not split, even where a chain may have more branches
	gateDepth = 2  // chains below the first one of a list
)

// gateBuilder grows the chains that turn away the clients that a service is not for.
type gateBuilder struct {
	service string
	chains  []rules.Chain
}

// gateChains plans the gate of a service, none for one that is for everybody. PRE leads to the gate,
// and the gate to the service's chain. OUT leads to the service's chain: what is made on the balancer
// has one of its own addresses as source, which no list of clients has.
//
// Deny goes before allow. A packet comes back from a gate only where the host itself is to answer it.
//
// A gate that passes clients on comes back for all whom the service does not serve. What refuses
// them, if any rule leads there, is a chain of its own.
func (l limits) gateChains(service config.Service, passes, refuses bool) []rules.Chain {
	if !service.Gated() {
		return nil
	}
	g := gateBuilder{service: service.Name}
	listed, others := rules.Rule{Target: rules.Target{Kind: rules.Return}}, []rules.Rule(nil)
	switch {
	case !passes && service.Refused == config.Reject:
		listed, others = g.refusal(l, service)
	case refuses:
		g.chains = append(g.chains, rules.Chain{Name: refusalChain(service.Name), Rules: l.selector(service).refuse(service.Listen)})
	}
	served := []rules.Rule{{Target: rules.Target{Kind: rules.Goto, Chain: rules.ServiceChain(service.Name)}}}
	list := served
	if len(service.Allow) > 0 {
		list = g.stage("allow", outermost(service.Allow), served[0], others)
	}
	if len(service.Deny) > 0 {
		denied := outermost(service.Deny)
		if len(denied) > gateFan {
			list = g.shortened(rules.GateChain(service.Name)+"A", list)
		}
		list = g.stage("deny", denied, listed, list)
	}
	return append(g.chains, rules.Chain{Name: rules.GateChain(service.Name), Rules: list})
}

// refusalChain returns the name of the chain that refuses the clients whom a service does not serve.
func refusalChain(service string) string { return rules.GateChain(service) + "R" }

// refusal returns the rule that refuses the clients of deny, still without a subnet, and the rules that
// refuse all clients that allow does not list.
func (g *gateBuilder) refusal(l limits, service config.Service) (listed rules.Rule, others []rules.Rule) {
	others = l.selector(service).refuse(service.Listen)
	if len(service.Deny) > 0 || len(outermost(service.Allow)) > gateFan { // there more than one rule leads to it
		others = g.shortened(refusalChain(service.Name), others)
	}
	return others[0], others
}

// shortened returns one rule that does what several do, by a chain of their own.
func (g *gateBuilder) shortened(name string, list []rules.Rule) []rules.Rule {
	if len(list) == 1 {
		return list
	}
	g.chains = append(g.chains, rules.Chain{Name: name, Rules: list})
	return []rules.Rule{{Target: rules.Target{Kind: rules.Goto, Chain: name}}}
}

// stage returns the rules of a list of clients: the listed rule for each subnet of it, and then the
// rules for all others.
func (g *gateBuilder) stage(list string, clients []netip.Prefix, listed rules.Rule, others []rules.Rule) []rules.Rule {
	if clients[0].Bits() == 0 { // which is every client: iptables prints no -s for it
		return []rules.Rule{listed}
	}
	return g.node(list, clients, listed, others, gateDepth)
}

// node returns the rules of a chain for some clients, and adds the chains below it. left is how
// many of these may lead to one another.
func (g *gateBuilder) node(list string, clients []netip.Prefix, listed rules.Rule, others []rules.Rule, left int) []rules.Rule {
	groups := [][]netip.Prefix{clients}
	if len(clients) > gateFan && left > 0 {
		groups = partClients(clients)
	}
	var all []rules.Rule
	for _, group := range groups {
		if len(group) == 1 || len(groups) == 1 {
			for _, subnet := range group {
				rule := listed
				rule.Source = subnet
				all = append(all, rule)
			}
			continue
		}
		region := common(group[0].Addr(), group[len(group)-1].Addr())
		name := rules.Prefix + "-G" + rules.Digest(g.service + " " + list + " " + region.String())[:14]
		chain := g.node(list, group, listed, others, left-1)
		g.chains = append(g.chains, rules.Chain{Name: name, Rules: chain})
		all = append(all, rules.Rule{Source: region, Target: rules.Target{Kind: rules.Goto, Chain: name}})
	}
	return append(all, others...)
}

// outermost returns subnets in order, without those that another one holds.
func outermost(subnets []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(subnets)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.CompactFunc(sorted, func(a, b netip.Prefix) bool { return a.Contains(b.Addr()) })
}

// partClients splits subnets, which are in order and none of which holds another, into as many groups
// as a chain has branches. Each group is all that some subnet holds. The largest group is split again
// and again, so that none is large.
func partClients(subnets []netip.Prefix) [][]netip.Prefix {
	groups := [][]netip.Prefix{subnets}
	for len(groups) < gateFan {
		place := largest(groups, func(g []netip.Prefix) int { return len(g) })
		group := groups[place]
		if len(group) <= gateLeaf {
			break
		}
		bits := commonBits(group[0].Addr(), group[len(group)-1].Addr())
		half := sort.Search(len(group), func(i int) bool { return commonBits(group[0].Addr(), group[i].Addr()) <= bits })
		groups = slices.Replace(groups, place, place+1, group[:half], group[half:])
	}
	return groups
}

// gateLevels returns how many chains of gates may lead to one another before a service's. Each
// chain stands behind those that it leads to.
func gateLevels(chains []rules.Chain) int {
	levels := map[string]int{}
	deepest := 0
	for _, chain := range chains {
		below := 0
		for _, rule := range chain.Rules {
			below = max(below, levels[rule.Target.Chain])
		}
		levels[chain.Name] = 1 + below
		deepest = max(deepest, 1+below)
	}
	return deepest
}
