package render

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// The layout of a gate. Sixteen ways are as fast as four, with half the chains on a way.
const (
	gateFan   = 16 // ways of a chain, and subnets in a plain list
	gateLeaf  = 4  // subnets that are parted no further, while a chain has ways left
	gateDepth = 2  // chains below the first one of a list
)

// gateBuilder grows the chains that turn away the clients that a service is not for.
type gateBuilder struct {
	service string
	chains  []rules.Chain
}

// gateChains plans the gate of a service, none for one that is for everybody. PRE leads there,
// and the gate to the service's chain. OUT does not: what is made on the balancer has one of its
// own addresses as source, which no list of clients has.
//
// Deny goes before allow. No rule leaves a gate by its end but where the host itself is to answer.
func (l limits) gateChains(service config.Service) []rules.Chain {
	if !service.Gated() {
		return nil
	}
	g := gateBuilder{service: service.Name}
	hit, behind := g.refusal(l, service)
	served := []rules.Rule{{Target: rules.Target{Kind: rules.Goto, Chain: rules.ServiceChain(service.Name)}}}
	list := served
	if len(service.Allow) > 0 {
		list = g.stage("allow", outermost(service.Allow), served[0], behind)
	}
	if len(service.Deny) > 0 {
		denied := outermost(service.Deny)
		if len(denied) > gateFan {
			list = g.shortened(rules.GateChain(service.Name)+"A", list)
		}
		list = g.stage("deny", denied, hit, list)
	}
	return append(g.chains, rules.Chain{Name: rules.GateChain(service.Name), Rules: list})
}

// refusal returns the rule for a client that deny has, less its subnet, and the rules for all whom
// allow does not have. They refuse, or leave the connection to the host.
func (g *gateBuilder) refusal(l limits, service config.Service) (hit rules.Rule, behind []rules.Rule) {
	if service.Refused == config.ToHost {
		return rules.Rule{Target: rules.Target{Kind: rules.Return}}, nil
	}
	s := selector{limits: l, service: service.Name}
	for _, protocol := range service.Protocols {
		s.protocols = append(s.protocols, string(protocol))
	}
	behind = s.refuse(service.Listen)
	if len(service.Deny) > 0 || len(service.Allow) > gateFan { // there more than one rule leads to it
		behind = g.shortened(rules.GateChain(service.Name)+"R", behind)
	}
	return behind[0], behind
}

// shortened returns one rule that does what several do, by a chain of their own.
func (g *gateBuilder) shortened(name string, list []rules.Rule) []rules.Rule {
	if len(list) == 1 {
		return list
	}
	g.chains = append(g.chains, rules.Chain{Name: name, Rules: list})
	return []rules.Rule{{Target: rules.Target{Kind: rules.Goto, Chain: name}}}
}

// stage returns the rules of a list of clients: what becomes of those in it, and behind them the
// rules for all others.
func (g *gateBuilder) stage(list string, clients []netip.Prefix, hit rules.Rule, behind []rules.Rule) []rules.Rule {
	if clients[0].Bits() == 0 { // which is every client: iptables prints no -s for it
		return []rules.Rule{hit}
	}
	return g.node(list, clients, hit, behind, gateDepth)
}

// node returns the rules of a chain for some clients, and plants the chains below it. left is how
// many of these may lead to one another.
func (g *gateBuilder) node(list string, clients []netip.Prefix, hit rules.Rule, behind []rules.Rule, left int) []rules.Rule {
	groups := [][]netip.Prefix{clients}
	if len(clients) > gateFan && left > 0 {
		groups = partClients(clients)
	}
	var all []rules.Rule
	for _, group := range groups {
		if len(group) == 1 || len(groups) == 1 {
			for _, subnet := range group {
				rule := hit
				rule.Source = subnet
				all = append(all, rule)
			}
			continue
		}
		region := holder(group)
		name := rules.Prefix + "-G" + hash(g.service + " " + list + " " + region.String())[:14]
		g.chains = append(g.chains, rules.Chain{Name: name, Rules: g.node(list, group, hit, behind, left-1)})
		all = append(all, rules.Rule{Source: region, Target: rules.Target{Kind: rules.Goto, Chain: name}})
	}
	return append(all, behind...)
}

// outermost returns subnets in order, without those that another one holds.
func outermost(subnets []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(subnets)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.CompactFunc(sorted, func(a, b netip.Prefix) bool { return a.Contains(b.Addr()) })
}

// holder returns the smallest subnet that holds some, which are in order.
func holder(subnets []netip.Prefix) netip.Prefix {
	first, last := subnets[0].Addr(), subnets[len(subnets)-1].Addr()
	return netip.PrefixFrom(first, commonBits(first, last)).Masked()
}

// partClients parts subnets, which are in order and none of which holds another, into as many groups
// as a chain has ways. Each group is all that some subnet holds. The largest group is parted time and
// again, so that none is large.
func partClients(subnets []netip.Prefix) [][]netip.Prefix {
	groups := [][]netip.Prefix{subnets}
	for len(groups) < gateFan {
		place := 0
		for i, group := range groups {
			if len(group) > len(groups[place]) {
				place = i
			}
		}
		largest := groups[place]
		if len(largest) <= gateLeaf {
			break
		}
		bits := holder(largest).Bits()
		half := sort.Search(len(largest), func(i int) bool { return commonBits(largest[0].Addr(), largest[i].Addr()) <= bits })
		groups = slices.Replace(groups, place, place+1, largest[:half], largest[half:])
	}
	return groups
}

// gateLevels returns how many chains of gates may lead to one another before a service's.
func gateLevels(chains []rules.Chain) int {
	leads := map[string][]rules.Rule{}
	for _, chain := range chains {
		leads[chain.Name] = chain.Rules
	}
	levels := map[string]int{}
	var below func(name string) int
	below = func(name string) int {
		if known, seen := levels[name]; seen || leads[name] == nil {
			return known
		}
		deepest := 0
		for _, rule := range leads[name] {
			deepest = max(deepest, below(rule.Target.Chain))
		}
		levels[name] = 1 + deepest
		return levels[name]
	}
	deepest := 0
	for name := range leads {
		deepest = max(deepest, below(name))
	}
	return deepest
}
