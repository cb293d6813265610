package render

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// serviceChains plans the chain that picks a service's backend, and the tree below it.
// Nothing falls through to the balancer's own ports. With every backend drained it
// refuses: port 0 of the balancer, where the kernel lets no socket listen, answers
// TCP with a reset, UDP with "port unreachable" and SCTP with an abort. REJECT exists
// in the filter table only.
func (l limits) serviceChains(service config.Service) []rules.Chain {
	s := l.selector(service)
	backends := service.Active()
	var list []rules.Rule
	switch {
	case !reaches(service):
		list = s.refuse(service.Listen)
	case service.Slots != 0:
		list = s.bySlot(service)
	case len(backends) == 0: // and the one backend keeps what is open
		list = append(s.kept(service.Backends[0]), s.refuse(service.Listen)...)
	case service.Algorithm == config.RoundRobin:
		list = s.roundRobin(backends)
	default:
		s.leads = s.mappedChains(service)
		list = s.random(backends)
	}
	return stayed(append(s.chains, rules.Chain{Name: rules.ServiceChain(service.Name), Rules: list}))
}

// selector grows the tree of one service.
type selector struct {
	limits    limits
	of        config.Service
	service   string
	protocols []string
	sum       uint64                          // of the weights of all backends
	pairs     []config.Listen                 // see portPairs
	leads     map[netip.AddrPort]rules.Target // with pairs: what leads to the chain of a backend
	chains    []rules.Chain
}

// selector returns the selector of a service, without a chain.
func (l limits) selector(service config.Service) *selector {
	s := &selector{limits: l, of: service, service: service.Name, pairs: portPairs(service)}
	for _, protocol := range service.Protocols {
		s.protocols = append(s.protocols, string(protocol))
	}
	return s
}

// each returns a rule once for each protocol, which a target with a port wants.
func (p *selector) each(list ...rules.Rule) []rules.Rule {
	all := make([]rules.Rule, 0, len(p.protocols)*len(list))
	for _, protocol := range p.protocols {
		for _, rule := range list {
			rule.Protocol = protocol
			all = append(all, rule)
		}
	}
	return all
}

// refuse returns the rules that refuse every connection: at the address that was asked for,
// where the host has it, and else at the first address of the interface. That interface can
// lack one where the address is on lo or on another interface. More addresses than fit into
// a plain list are refused there only: each first packet would try them all.
func (p *selector) refuse(listen []config.Listen) []rules.Rule {
	var list []rules.Rule
	addresses := explicit(listen)
	if len(addresses) >= p.limits.backends {
		addresses = nil
	}
	for _, addr := range addresses {
		list = append(list, rules.Rule{
			Destination: host(addr), LocalDestination: true,
			Target: rules.Target{Kind: rules.Refuse, Address: addr},
		})
	}
	return p.each(append(list, rules.Rule{Target: rules.Target{Kind: rules.Refuse}})...)
}

// explicit returns the addresses of listen, in their order, each once.
func explicit(listen []config.Listen) []netip.Addr {
	var all []netip.Addr
	seen := map[netip.Addr]bool{{}: true} // "*"
	for _, l := range listen {
		if !seen[l.Addr] {
			seen[l.Addr] = true
			all = append(all, l.Addr)
		}
	}
	return all
}

// addChain adds a chain of the tree and returns the target that leads there.
func (p *selector) addChain(level, place int, list []rules.Rule) rules.Target {
	name := rules.PickChain(p.service, level, place)
	p.chains = append(p.chains, rules.Chain{Name: name, Rules: list})
	return rules.Target{Kind: rules.Goto, Chain: name}
}

// random returns the rules of the service's chain that pick a backend by its weight.
func (p *selector) random(backends []config.Backend) []rules.Rule {
	p.sum = total(weightsOf(backends))
	if len(backends) <= p.limits.backends {
		return p.draw(backends, interval{share: unit})
	}
	return p.branches(backends, 0, interval{share: unit})
}

// draw returns the rules that pick one of a few backends.
func (p *selector) draw(backends []config.Backend, at interval) []rules.Rule {
	probabilities, _ := shares(weightsOf(backends), p.sum, at)
	list := make([]rules.Rule, len(backends))
	for i, backend := range backends {
		list[i].Statistic = probabilities[i]
		if p.leads != nil {
			list[i].Target = p.leads[backend.AddrPort()]
		} else {
			list[i].Target = p.lead(p.of.Listen[0], backend)
		}
	}
	if p.leads != nil {
		return list // the pick is one for all ports and protocols
	}
	return p.each(list...)
}

// branches returns the rules that pick a part of many backends, and plants the chains
// that pick one of it. All parts but the last have the size of a full tree, so that
// one backend more at the end changes the chains on the way to it only.
func (p *selector) branches(backends []config.Backend, first int, at interval) []rules.Rule {
	if len(backends) <= p.limits.pick {
		return p.draw(backends, at)
	}
	size, _ := p.full((len(backends) + fanOut - 1) / fanOut)
	parts := slices.Collect(slices.Chunk(backends, size))
	weights := make([]uint64, len(parts))
	for i, part := range parts {
		weights[i] = total(weightsOf(part))
	}
	probabilities, taken := shares(weights, p.sum, at)
	var list []rules.Rule
	for i, part := range parts {
		if len(part) == 1 { // the last, which needs no chance of its own
			list = append(list, p.draw(part, taken[i])...)
			continue
		}
		from := first + i*size
		below := p.branches(part, from, taken[i])
		size, level := p.full(len(part))
		list = append(list, rules.Rule{Statistic: probabilities[i], Target: p.addChain(level, from/size, below)})
	}
	return list
}

// full returns the size of the smallest full tree that holds so many backends, and how
// many levels of chains are below its root.
func (p *selector) full(backends int) (size, level int) {
	for size = p.limits.pick; size < backends; size *= fanOut {
		level++
	}
	return size, level
}

// weightsOf returns the weights of backends.
func weightsOf(backends []config.Backend) []uint64 {
	weights := make([]uint64, len(backends))
	for i, backend := range backends {
		weights[i] = uint64(backend.Weight)
	}
	return weights
}

// roundRobin returns the rules of the service's chain that give the backends their
// turns, for each protocol its own.
func (p *selector) roundRobin(backends []config.Backend) []rules.Rule {
	order := turns(backends)
	var rules []rules.Rule
	for _, protocol := range p.protocols {
		if len(p.pairs) > 0 {
			rules = append(rules, p.mappedTurns(protocol, backends, order)...)
			continue
		}
		rules = append(rules, p.turn(protocol, p.inTurn(backends, order, p.of.Listen[0]), 0, 0)...)
	}
	return rules
}

// inTurn returns where what was asked of a listen address goes in the order of turns.
func (p *selector) inTurn(backends []config.Backend, order []int, listen config.Listen) []rules.Target {
	period := make([]rules.Target, len(order))
	for i, turn := range order {
		period[i] = p.lead(listen, backends[turn])
	}
	return period
}

// turn returns the rules of a chain that sends connections to targets in turn. While
// they are few there is a rule for each: the first takes one of every n connections,
// the second one of every n-1 of the rest, and so on, so that within a period each
// target comes once, in order. Of many, the first ones are taken that way until fanOut
// divides what is left, and of the rest each branch takes every fanOut-th, in order:
// the turns are the same as in one long list.
func (p *selector) turn(protocol string, period []rules.Target, level, place int) []rules.Rule {
	var list []rules.Rule
	next := func(left int, target rules.Target) {
		rule := rules.Rule{Protocol: protocol, Target: target}
		if left > 1 {
			rule.Statistic.Every = uint32(left)
		}
		list = append(list, rule)
	}
	few := p.limits.pick
	if level == 0 {
		few = p.limits.backends
	}
	single := len(period) % fanOut
	if len(period) <= few {
		single = len(period)
	}
	for i, target := range period[:single] {
		next(len(period)-i, target)
	}
	rest := period[single:]
	for branch := 0; branch < fanOut && len(rest) > 0; branch++ {
		var every []rules.Target
		for i := branch; i < len(rest); i += fanOut {
			every = append(every, rest[i])
		}
		if len(every) == 1 {
			next(fanOut-branch, every[0])
			continue
		}
		place := place*fanOut + branch
		next(fanOut-branch, p.addChain(lowest(protocol)+level, place, p.turn(protocol, every, level+1, place)))
	}
	return list
}

// lowest returns the first level of a protocol's tree: each protocol has turns of its
// own.
func lowest(protocol string) int {
	switch config.Protocol(protocol) {
	case config.UDP:
		return pickDepth
	case config.SCTP:
		return 2 * pickDepth
	}
	return 0
}
