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

// dispatchEntry is what one listen address of a service asks for, for one protocol, and the
// rules that give it: complete ones, which match nothing else, wherever they stand.
// No two entries of a config meet, so their order is free.
type dispatchEntry struct {
	side     side
	address  netip.Addr // what the packets were sent to; zero is every address
	protocol string
	ports    rules.Ports
	rules    []rules.Rule
}

// String writes what is claimed.
func (c dispatchEntry) String() string {
	return fmt.Sprint(c.address, " ", c.protocol, " ", c.ports.First, "-", c.ports.Last)
}

// compareEntries sorts by address, protocol and first port; every address comes first.
func compareEntries(a, b dispatchEntry) int {
	return cmp.Or(a.address.Compare(b.address), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.ports.First, b.ports.First))
}

// rulesOf returns the rules of entries, in their order.
func rulesOf(entries []dispatchEntry) []rules.Rule {
	rules := make([]rules.Rule, 0, countRules(entries))
	for _, entry := range entries {
		rules = append(rules, entry.rules...)
	}
	return rules
}

// countRules returns how many those are.
func countRules(entries []dispatchEntry) int {
	n := 0
	for _, entry := range entries {
		n += len(entry.rules)
	}
	return n
}

// asked yields, for each listen address and protocol of a service, a entry without
// rules.
func asked(service config.Service) iter.Seq[dispatchEntry] {
	return func(yield func(dispatchEntry) bool) {
		for _, listen := range service.Listen {
			for _, protocol := range service.Protocols {
				if !yield(dispatchEntry{side: both, address: listen.Addr, protocol: string(protocol), ports: ports(listen)}) {
					return
				}
			}
		}
	}
}

// toService returns the rule that sends what a entry asks for to the service's chain.
func toService(c dispatchEntry, service config.Service) rules.Rule {
	return rules.Rule{
		Destination:      host(c.address),
		Protocol:         c.protocol,
		DestinationPorts: c.ports,
		LocalDestination: !c.address.IsValid(),
		Target:           rules.Target{Kind: rules.Jump, Chain: rules.ServiceChain(service.Name)},
	}
}

// alike tells whether a entry has the same rule for what comes in and for what is
// made on the balancer itself.
func alike(c dispatchEntry, service config.Service) bool {
	return c.address.IsValid() && service.Local && service.Interface == ""
}

// incoming returns what the services entry of the packets that come in.
func incoming(services []config.Service) []dispatchEntry {
	return leading(services, incomingOnly, func(rule *rules.Rule, service config.Service) {
		rule.InInterface = service.Interface
	})
}

// outgoing returns the same for connections made on the balancer itself, which never
// pass PREROUTING. With "*" the loopback addresses, local as they are, stay out of
// it: the host's own localhost services stay its own.
func outgoing(services []config.Service) []dispatchEntry {
	notLocal := func(s config.Service) bool { return !s.Local }
	return leading(slices.DeleteFunc(slices.Clone(services), notLocal), localOnly, func(rule *rules.Rule, service config.Service) {
		if rule.LocalDestination {
			rule.NotDestination = loopback(familyOf(service))
		}
	})
}

// leading returns entries with the rule that leads to the service's chain, and what a
// side changes in that. Those that no side changes are of both.
func leading(services []config.Service, only side, change func(*rules.Rule, config.Service)) []dispatchEntry {
	var entries []dispatchEntry
	for _, service := range services {
		for entry := range asked(service) {
			rule := toService(entry, service)
			change(&rule, service)
			entry.rules = []rules.Rule{rule}
			if !alike(entry, service) {
				entry.side = only
			}
			entries = append(entries, entry)
		}
	}
	return entries
}

// translated returns entries of what was sent to the services and rewritten, with the
// rules that rewrite its source, so that the backends' answers come back through
// here, or that keep it. What a client had asked for tells the service's connections from everyone
// else's; for "*", which is no address to ask for, the backend that they go to does,
// and is the address of the entry.
func translated(services []config.Service) []dispatchEntry {
	var entries []dispatchEntry
	for _, service := range services {
		active := service.Active()
		if len(active) == 0 {
			continue // nothing goes there
		}
		sources := sourceRules(service)
		for entry := range asked(service) {
			rule := rules.Rule{
				Protocol: entry.protocol, Translated: true,
				OriginalDestination: host(entry.address), OriginalPorts: entry.ports,
			}
			if entry.address.IsValid() {
				entry.side, entry.rules = source, complete(rule, sources)
				entries = append(entries, entry)
				continue
			}
			for _, backend := range active {
				entry.address = backend.Addr
				rule.Destination = host(backend.Addr)
				rule.DestinationPorts = rules.Ports{First: backend.Port, Last: backend.Port}
				entry.side, entry.rules = backendSource, complete(rule, sources)
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// forwarded returns entries of what FORWARD is to let through: all connections that
// clients asked a service for, both ways, with their ICMP errors, for as long as they are
// open, and so also those of drained backends. For "*" the backend that answers takes the
// place of the address, as in translated; one without a port of its own answers at those
// of the service.
func forwarded(services []config.Service) []dispatchEntry {
	var entries []dispatchEntry
	for _, service := range services {
		if service.Forward != config.Accept {
			continue
		}
		for entry := range asked(service) {
			rule := rules.Rule{
				ConnectionProtocol: entry.protocol, OriginalDestination: host(entry.address),
				OriginalPorts: entry.ports, Target: rules.Target{Kind: rules.Accept},
			}
			if entry.address.IsValid() {
				entry.side, entry.rules = forward, []rules.Rule{rule}
				entries = append(entries, entry)
				continue
			}
			for _, backend := range service.Backends {
				entry.address = backend.Addr
				rule.ReplySource = host(backend.Addr)
				if rule.ReplyPorts = entry.ports; backend.Port != 0 {
					rule.ReplyPorts = rules.Ports{First: backend.Port, Last: backend.Port}
				}
				entry.side, entry.rules = backendForward, []rules.Rule{rule}
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// sourceRules returns what snat asks for: targets, and the clients that each is for. A source
// that is kept is accepted, so that no rule of others behind the jump, such as a MASQUERADE
// of all, rewrites it.
func sourceRules(service config.Service) []rules.Rule {
	switch service.SNAT.Mode {
	case config.Address:
		return []rules.Rule{{Target: rules.Target{Kind: rules.SNAT, Address: service.SNAT.Addr}}}
	case config.None:
		var list []rules.Rule
		for _, clients := range service.Hairpin {
			list = append(list, rules.Rule{Source: clients, Target: rules.Target{Kind: rules.Masquerade}})
		}
		return append(list, rules.Rule{Target: rules.Target{Kind: rules.Accept}})
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

// sortAndJoin joins entries of the same packets, in order: two services on "*" may share
// a backend, and two backends an address.
func sortAndJoin(entries []dispatchEntry) []dispatchEntry {
	slices.SortStableFunc(entries, compareEntries)
	var joined []dispatchEntry
	for _, c := range entries {
		if n := len(joined); n > 0 && compareEntries(joined[n-1], c) == 0 {
			joined[n-1].rules = append(joined[n-1].rules, c.rules...)
		} else {
			joined = append(joined, c)
		}
	}
	return joined
}
