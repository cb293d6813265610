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
// No two entries of a config meet, so their order is free, but for those of services that are
// together at one place.
type dispatchEntry struct {
	side     side
	service  string     // whose chain alone leads there; "" for the trees that all share
	address  netip.Addr // what the packets were sent to; zero is every address
	protocol string
	ports    rules.Ports
	rules    []rules.Rule
	listen   config.Listen // that it was made from; zero if it was made from several
}

// String writes what the entry asks for.
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

// asked yields, for each listen address and protocol of a service, an entry without
// rules.
func asked(service config.Service) iter.Seq[dispatchEntry] {
	return func(yield func(dispatchEntry) bool) {
		for _, listen := range service.Listen {
			for _, protocol := range service.Protocols {
				if !yield(dispatchEntry{side: both, address: listen.Addr, protocol: string(protocol), ports: ports(listen), listen: listen}) {
					return
				}
			}
		}
	}
}

// toService returns the rule that sends what an entry asks for to the service's chain.
func toService(c dispatchEntry, service config.Service) rules.Rule {
	return rules.Rule{
		Destination:      host(c.address),
		Protocol:         c.protocol,
		DestinationPorts: c.ports,
		LocalDestination: !c.address.IsValid(),
		Target:           rules.Target{Kind: rules.Jump, Chain: rules.ServiceChain(service.Name)},
	}
}

// alike tells whether an entry has the same rule for what comes in and for what is
// made on the balancer itself.
func alike(c dispatchEntry, service config.Service) bool {
	return c.address.IsValid() && service.Local && len(service.Interfaces) == 0 && !service.Gated()
}

// incoming returns the entries for what comes in from elsewhere.
func incoming(services []config.Service) []dispatchEntry {
	return leading(services, incomingOnly, func(rule rules.Rule, service config.Service) []rules.Rule {
		if service.Gated() {
			rule.Target.Chain = rules.GateChain(service.Name)
		}
		return byInterface(rule, service)
	})
}

// outgoing returns the entries for connections made on the balancer itself, which never
// pass PREROUTING. "*" leaves out the loopback addresses, although they are local: what
// listens there on the host is still reached.
func outgoing(services []config.Service) []dispatchEntry {
	notLocal := func(s config.Service) bool { return !s.Local }
	return leading(slices.DeleteFunc(slices.Clone(services), notLocal), localOnly, func(rule rules.Rule, service config.Service) []rules.Rule {
		if rule.LocalDestination {
			rule.NotDestination = loopback(familyOf(service))
		}
		return []rules.Rule{rule}
	})
}

// leading returns entries with what a side makes of the rule that leads to the service's chain.
// Those that no side changes are of both.
func leading(services []config.Service, only side, rulesFrom func(rules.Rule, config.Service) []rules.Rule) []dispatchEntry {
	var entries []dispatchEntry
	for _, service := range services {
		for entry := range asked(service) {
			entry.rules = rulesFrom(toService(entry, service), service)
			if !alike(entry, service) {
				entry.side = only
			}
			entries = append(entries, entry)
		}
	}
	return entries
}

// translated returns entries of what was sent to the services and rewritten, with the
// rules that rewrite its source, so that the backends' answers come back through here, or
// that keep it. What a client had asked for tells the service's connections from everyone
// else's; for "*", which is no address to ask for, the backend that they go to does, and is
// the address of the entry.
func translated(services []config.Service) []dispatchEntry {
	var entries, lastOnes []dispatchEntry
	together := togetherOf(services)
	for _, service := range services {
		if !reaches(service) {
			continue
		}
		sources := sourceRules(service)
		for entry := range asked(service) {
			rule := rules.Rule{
				Protocol: entry.protocol, Translated: true,
				OriginalDestination: host(entry.address), OriginalPorts: entry.ports,
			}
			last, several := together.last(entry)
			if entry.address.IsValid() {
				entry.side, entry.rules = source, complete(rule, sources)
				switch {
				case several && service.Name != last.Name:
					entry.rules = narrowed(service, last, entry, rule)
				case several:
					lastOnes = append(lastOnes, entry)
					continue
				}
				if len(entry.rules) > 0 {
					entries = append(entries, entry)
				}
				continue
			}
			for _, backend := range service.Active() {
				entry.address = backend.Addr
				rule.Destination = host(backend.Addr)
				rule.DestinationPorts = rules.Ports{}
				if several || answerPort(entry.listen, backend) != 0 {
					rule.DestinationPorts = answersAt(entry.listen, backend)
				}
				entry.side, entry.rules = backendSource, complete(rule, sources)
				entries = append(entries, entry)
			}
		}
	}
	return append(entries, lastOnes...)
}

// forwarded returns entries of what FORWARD is to let through: all connections of a service
// to its backends, both ways, with their ICMP errors, for as long as they are open, and so
// also those of drained backends. What clients asked for leads to the service's own chain,
// which accepts by backend; where that would be one rule, it is accepted at once. For "*",
// which is no address to ask for, the backend that answers takes its place, as in
// translated.
func forwarded(services []config.Service) []dispatchEntry {
	var entries []dispatchEntry
	for _, service := range services {
		if service.Forward != config.Accept {
			continue
		}
		one, alone := oneAnswer(service)
		for entry := range asked(service) {
			rule := rules.Rule{ConnectionProtocol: entry.protocol, OriginalDestination: host(entry.address), OriginalPorts: entry.ports}
			if entry.address.IsValid() {
				rule.Target = rules.Target{Kind: rules.Jump, Chain: rules.ServiceChain(service.Name)}
				if alone {
					rule.ReplySource, rule.ReplyPorts, rule.Target = one.ReplySource, one.ReplyPorts, one.Target
				}
				entry.side, entry.rules = forward, []rules.Rule{rule}
				entries = append(entries, entry)
				continue
			}
			rule.Target = rules.Target{Kind: rules.Accept}
			entries = append(entries, backendEntries(service, entry, backendForward, rule)...)
		}
	}
	return entries
}

// backendEntries returns an entry for each backend of a service, at its address, with a rule that also
// asks which backend answers.
func backendEntries(service config.Service, entry dispatchEntry, of side, rule rules.Rule) []dispatchEntry {
	entries := make([]dispatchEntry, len(service.Backends))
	for i, rule := range byBackend(service, entry, rule) {
		entry.address, entry.side, entry.rules = service.Backends[i].Addr, of, []rules.Rule{rule}
		entries[i] = entry
	}
	return entries
}

// byBackend returns a rule once for each backend of a service, with the condition that this backend
// answers what an entry asks for.
func byBackend(service config.Service, entry dispatchEntry, rule rules.Rule) []rules.Rule {
	list := make([]rules.Rule, len(service.Backends))
	for i, backend := range service.Backends {
		list[i] = rule
		list[i].ReplySource, list[i].ReplyPorts = host(backend.Addr), answersAt(entry.listen, backend)
	}
	return list
}

// answersAt returns the ports where a backend answers what was asked of a listen address.
func answersAt(listen config.Listen, backend config.Backend) rules.Ports {
	at := listen.Answers(backend)
	return rules.Ports{First: at.First, Last: at.Last}
}

// answerPort returns the port where a backend answers what was asked of a listen address, or the first
// one of those, and 0 where it keeps the one that was asked.
func answerPort(listen config.Listen, backend config.Backend) uint16 {
	if at := listen.Answers(backend); at.First != at.Last && at == listen.Ports {
		return 0
	}
	return cmp.Or(backend.Port, listen.To)
}

// answered returns entries of what the chain of a service in the filter table accepts: the
// connections that each of its backends answers, at the ports where it does. With them, a
// rule for each address that clients may ask for and each backend is as many as their sum,
// not their product.
func answered(service config.Service) []dispatchEntry {
	var asked []config.Listen
	for _, listen := range service.Listen {
		if !listen.Any() { // else forwarded accepts it by itself
			asked = append(asked, listen)
		}
	}
	var order []netip.Addr
	at := map[netip.Addr][]rules.Ports{}
	for _, backend := range service.Backends {
		if _, known := at[backend.Addr]; !known {
			order = append(order, backend.Addr)
		}
		for _, listen := range asked {
			at[backend.Addr] = append(at[backend.Addr], answersAt(listen, backend))
		}
	}
	var entries []dispatchEntry
	for _, protocol := range service.Protocols {
		for _, address := range order {
			for _, ports := range union(at[address]) {
				rule := rules.Rule{ConnectionProtocol: string(protocol), ReplySource: host(address), ReplyPorts: ports, Target: rules.Target{Kind: rules.Accept}}
				entries = append(entries, dispatchEntry{side: answer, service: service.Name, address: address, protocol: string(protocol), ports: ports, rules: []rules.Rule{rule}})
			}
		}
	}
	return entries
}

// related returns entries of the connections that a helper expects of those that FORWARD lets
// through, such as the data connections of FTP: to a backend, translated like what they
// belong to, and from one, whose source becomes the address that clients asked. The kernel
// has no match on what they belong to, so who they are with is what tells them.
func related(services []config.Service) []dispatchEntry {
	var entries []dispatchEntry
	known := map[netip.Addr]bool{}
	for _, service := range services {
		for _, backend := range service.Backends {
			if service.Forward != config.Accept || known[backend.Addr] {
				continue
			}
			known[backend.Addr] = true
			to := rules.Rule{Translated: true, ReplySource: host(backend.Addr), Expected: true, Target: rules.Target{Kind: rules.Accept}}
			from := rules.Rule{SourceTranslated: true, OriginalSource: host(backend.Addr), Expected: true, Target: rules.Target{Kind: rules.Accept}}
			entries = append(entries,
				dispatchEntry{side: relatedTo, address: backend.Addr, rules: []rules.Rule{to}},
				dispatchEntry{side: relatedFrom, address: backend.Addr, rules: []rules.Rule{from}})
		}
	}
	return entries
}

// oneAnswer returns the one rule that answered comes to for each protocol, if it does, as for
// one backend, or for several that are all those of a prefix.
func oneAnswer(service config.Service) (rules.Rule, bool) {
	service.Protocols = service.Protocols[:1]
	entries := answered(service)
	if len(entries) == 0 {
		return rules.Rule{}, false
	}
	list, ok := merge(sortAndJoin(entries), 1)
	if !ok {
		return rules.Rule{}, false
	}
	return list[0], true
}

// union returns the ranges that hold the same ports as others, which may overlap.
func union(all []rules.Ports) []rules.Ports {
	slices.SortFunc(all, func(a, b rules.Ports) int { return cmp.Compare(a.First, b.First) })
	var joined []rules.Ports
	for _, ports := range all {
		if n := len(joined); n > 0 && int(ports.First) <= int(joined[n-1].Last)+1 {
			joined[n-1].Last = max(joined[n-1].Last, ports.Last)
		} else {
			joined = append(joined, ports)
		}
	}
	return joined
}

// sourceRules returns what snat asks for: targets, and the clients that each is for. A source
// that is kept is accepted, so that no rule of others behind the jump, such as a MASQUERADE
// of all, rewrites it.
func sourceRules(service config.Service) []rules.Rule {
	switch service.SNAT.Mode {
	case config.Address:
		return addressRules(service)
	case config.None:
		var list []rules.Rule
		for _, clients := range service.Hairpin {
			list = append(list, rules.Rule{Source: clients, Target: masquerade(service)})
		}
		return append(list, rules.Rule{Target: rules.Target{Kind: rules.Accept}})
	}
	return []rules.Rule{{Target: masquerade(service)}}
}

// complete gives the conditions of a rule to each of those that have a source, a chance and a
// target only.
func complete(conditions rules.Rule, list []rules.Rule) []rules.Rule {
	completed := make([]rules.Rule, len(list))
	for i, rule := range list {
		completed[i] = conditions
		completed[i].Source, completed[i].Statistic, completed[i].Target = rule.Source, rule.Statistic, rule.Target
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
