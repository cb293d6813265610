package render

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// claim is what one listen address of a service asks for, for one protocol, and the
// rules that give it: complete ones, which match nothing else, wherever they stand.
// No two claims of a config meet, so their order is free.
type claim struct {
	side     side
	address  netip.Addr // what the packets were sent to; zero is every address
	protocol string
	ports    rules.Ports
	rules    []rules.Rule
}

// String writes what is claimed.
func (c claim) String() string {
	return fmt.Sprint(c.address, " ", c.protocol, " ", c.ports.First, "-", c.ports.Last)
}

// compareClaims sorts by address, protocol and first port; every address comes first.
func compareClaims(a, b claim) int {
	return cmp.Or(a.address.Compare(b.address), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.ports.First, b.ports.First))
}

// rulesOf returns the rules of claims, in their order.
func rulesOf(claims []claim) []rules.Rule {
	rules := make([]rules.Rule, 0, countRules(claims))
	for _, claim := range claims {
		rules = append(rules, claim.rules...)
	}
	return rules
}

// countRules returns how many those are.
func countRules(claims []claim) int {
	n := 0
	for _, claim := range claims {
		n += len(claim.rules)
	}
	return n
}

// asked yields, for each listen address and protocol of a service, a claim without
// rules.
func asked(service config.Service) iter.Seq[claim] {
	return func(yield func(claim) bool) {
		for _, listen := range service.Listen {
			for _, protocol := range service.Protocols {
				if !yield(claim{side: both, address: listen.Addr, protocol: string(protocol), ports: ports(listen)}) {
					return
				}
			}
		}
	}
}

// toService returns the rule that sends what a claim asks for to the service's chain.
func toService(c claim, service config.Service) rules.Rule {
	return rules.Rule{
		Destination:      host(c.address),
		Protocol:         c.protocol,
		DestinationPorts: c.ports,
		LocalDestination: !c.address.IsValid(),
		Target:           rules.Target{Kind: rules.Jump, Chain: rules.ServiceChain(service.Name)},
	}
}

// alike tells whether a claim has the same rule for what comes in and for what is
// made on the balancer itself.
func alike(c claim, service config.Service) bool {
	return c.address.IsValid() && service.Local && service.Interface == ""
}

// incoming returns what the services claim of the packets that come in.
func incoming(services []config.Service) []claim {
	return leading(services, incomingOnly, func(rule *rules.Rule, service config.Service) {
		rule.InInterface = service.Interface
	})
}

// outgoing returns the same for connections made on the balancer itself, which never
// pass PREROUTING. With "*" the loopback addresses, local as they are, stay out of
// it: the host's own localhost services stay its own.
func outgoing(services []config.Service) []claim {
	notLocal := func(s config.Service) bool { return !s.Local }
	return leading(slices.DeleteFunc(slices.Clone(services), notLocal), localOnly, func(rule *rules.Rule, service config.Service) {
		if rule.LocalDestination {
			rule.NotDestination = loopback(familyOf(service))
		}
	})
}

// leading returns claims with the rule that leads to the service's chain, and what a
// side changes in that. Those that no side changes are of both.
func leading(services []config.Service, only side, change func(*rules.Rule, config.Service)) []claim {
	var claims []claim
	for _, service := range services {
		for claim := range asked(service) {
			rule := toService(claim, service)
			change(&rule, service)
			claim.rules = []rules.Rule{rule}
			if !alike(claim, service) {
				claim.side = only
			}
			claims = append(claims, claim)
		}
	}
	return claims
}

// translated returns claims of what was sent to the services and rewritten, with the
// rules that rewrite its source, so that the backends' answers come back through
// here. What a client had asked for tells the service's connections from everyone
// else's; for "*", which is no address to ask for, the backend that they go to does,
// and is the address of the claim.
func translated(services []config.Service) []claim {
	var claims []claim
	for _, service := range services {
		active := activeBackends(service)
		sources := sourceRules(service)
		if len(active) == 0 || len(sources) == 0 {
			continue // nothing is rewritten
		}
		for claim := range asked(service) {
			rule := rules.Rule{
				Protocol: claim.protocol, Translated: true,
				OriginalDestination: host(claim.address), OriginalPorts: claim.ports,
			}
			if claim.address.IsValid() {
				claim.side, claim.rules = source, complete(rule, sources)
				claims = append(claims, claim)
				continue
			}
			for _, backend := range active {
				claim.address = backend.Addr
				rule.Destination = host(backend.Addr)
				rule.DestinationPorts = rules.Ports{First: backend.Port, Last: backend.Port}
				claim.side, claim.rules = backendSource, complete(rule, sources)
				claims = append(claims, claim)
			}
		}
	}
	return claims
}

// forwarded returns claims of what FORWARD is to let through: all connections that
// clients asked a service for, both ways, with their ICMP errors, for as long as they are
// open, and so also those of drained backends. For "*" the backend that answers takes the
// place of the address, as in translated; one without a port of its own answers at those
// of the service.
func forwarded(services []config.Service) []claim {
	var claims []claim
	for _, service := range services {
		if service.Forward != config.Accept {
			continue
		}
		for claim := range asked(service) {
			rule := rules.Rule{
				ConnectionProtocol: claim.protocol, OriginalDestination: host(claim.address),
				OriginalPorts: claim.ports, Target: rules.Target{Kind: rules.Accept},
			}
			if claim.address.IsValid() {
				claim.side, claim.rules = forward, []rules.Rule{rule}
				claims = append(claims, claim)
				continue
			}
			for _, backend := range service.Backends {
				claim.address = backend.Addr
				rule.ReplySource = host(backend.Addr)
				if rule.ReplyPorts = claim.ports; backend.Port != 0 {
					rule.ReplyPorts = rules.Ports{First: backend.Port, Last: backend.Port}
				}
				claim.side, claim.rules = backendForward, []rules.Rule{rule}
				claims = append(claims, claim)
			}
		}
	}
	return claims
}

// sourceRules returns what snat asks for: targets, and the clients whose source is
// rewritten.
func sourceRules(service config.Service) []rules.Rule {
	switch service.SNAT.Mode {
	case config.Address:
		return []rules.Rule{{Target: rules.Target{Kind: rules.SNAT, Address: service.SNAT.Addr}}}
	case config.None:
		list := make([]rules.Rule, len(service.Hairpin))
		for i, clients := range service.Hairpin {
			list[i] = rules.Rule{Source: clients, Target: rules.Target{Kind: rules.Masquerade}}
		}
		return list
	}
	return []rules.Rule{{Target: rules.Target{Kind: rules.Masquerade}}}
}

// complete gives the conditions of a rule to each of those that have a source and a
// target only.
func complete(conditions rules.Rule, list []rules.Rule) []rules.Rule {
	completed := make([]rules.Rule, len(list))
	for i, rule := range list {
		completed[i] = conditions
		completed[i].Source, completed[i].Target = rule.Source, rule.Target
	}
	return completed
}

// host returns the prefix of one address, none for every address.
func host(address netip.Addr) netip.Prefix {
	if !address.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(address, address.BitLen())
}

// gathered joins claims of the same packets, in order: two services on "*" may share
// a backend, and two backends an address.
func gathered(claims []claim) []claim {
	slices.SortStableFunc(claims, compareClaims)
	var joined []claim
	for _, c := range claims {
		if n := len(joined); n > 0 && compareClaims(joined[n-1], c) == 0 {
			joined[n-1].rules = append(joined[n-1].rules, c.rules...)
		} else {
			joined = append(joined, c)
		}
	}
	return joined
}
