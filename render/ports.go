package render

import (
	"net/netip"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/slots"
)

// portPairs returns the pairs of ports that a service maps, as those of its first listen address:
// all have the same. None where it maps none, and where all listen addresses have the same ports.
func portPairs(service config.Service) []config.Listen {
	var pairs []config.Listen
	for _, listen := range service.Listen {
		if listen.To != 0 && listen.Addr == service.Listen[0].Addr {
			pairs = append(pairs, listen)
		}
	}
	if pairs == nil && service.Shifts() {
		return config.PairsToTell(service.Listen)
	}
	return pairs
}

// translate returns the rules that lead a connection to a backend, once one is picked. Where ports
// are mapped there is a rule for each. All connections that get here asked for one of these ports, so
// the rule of the last one has no condition.
func (p *selector) translate(backend config.Backend) []rules.Rule {
	if len(p.pairs) == 0 {
		return p.each(rules.Rule{Target: p.lead(p.of.Listen[0], backend)})
	}
	list := make([]rules.Rule, len(p.pairs))
	for i, pair := range p.pairs {
		list[i].Target = p.lead(pair, backend)
		if i < len(p.pairs)-1 {
			list[i].Destination, list[i].DestinationPorts = p.asks(pair)
		}
	}
	if backend.Port == 0 && p.of.Listen[0].To == 0 {
		list = list[:1] // it keeps all ports
		list[0].Destination, list[0].DestinationPorts = netip.Prefix{}, rules.Ports{}
	}
	return p.each(list...)
}

// mappedTurns returns the rules that give each mapped port turns of its own. If the ports shared their
// turns, a client that asks one port after the other would get a backend of its own for each. The rule
// of the last port has no condition.
func (p *selector) mappedTurns(protocol string, backends []config.Backend, order []int) []rules.Rule {
	list := make([]rules.Rule, len(p.pairs))
	for i, pair := range p.pairs {
		turns := p.turn(protocol, p.inTurn(backends, order, pair), 0, i)
		list[i] = turns[0] // of one backend
		if len(turns) > 1 {
			list[i] = rules.Rule{Protocol: protocol, Target: p.addChain(levelPairs+lowest(protocol)/pickDepth, i, turns)}
		}
		if i < len(p.pairs)-1 {
			list[i].Destination, list[i].DestinationPorts = p.asks(pair)
		}
	}
	return list
}

// mappedChains adds a chain for each backend that gets connections, where ports are mapped, and
// returns what leads there. So one pick is enough for all ports, and the connections of a backend are
// counted in one place.
func (p *selector) mappedChains(service config.Service) map[netip.AddrPort]rules.Target {
	if len(p.pairs) == 0 {
		return nil
	}
	places := slots.Places(service.SlotBackends(), chainPlaces)
	at := make(map[netip.AddrPort]int, len(places))
	for i, backend := range service.Backends {
		at[backend.AddrPort()] = places[i]
	}
	leads := make(map[netip.AddrPort]rules.Target, len(places))
	for _, backend := range service.Active() {
		leads[backend.AddrPort()] = p.addChain(levelBackends, at[backend.AddrPort()], p.translate(backend))
	}
	return leads
}
