package render

import (
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// leavingEntries returns the entries of POST: those of what was sent to services, and behind
// them those of what backends say first, which nobody translated.
func leavingEntries(services []config.Service) []dispatchEntry {
	return append(translated(services), saidFirst(services)...)
}

// saidFirst returns entries of what a backend says first, with the rules that give it the
// address and port that its client had asked. Such a packet comes after another balancer had the
// connection: connection tracking takes whoever sends the first packet here for the one that began.
// A backend whose connections are cut has none: its next packet would begin the connection anew.
func saidFirst(services []config.Service) []dispatchEntry {
	speaks := func(s config.Service, b config.Backend, protocol string) bool { return !b.Out || !cuts(s, protocol) }
	return byAnswer(services, speaks, func(e *dispatchEntry, asked dispatchEntry) {
		target := rules.Target{Kind: rules.SNAT, Address: asked.address}
		if asked.ports.First == asked.ports.Last {
			target.Port = asked.ports.First // of several each is kept
		}
		e.side = backendFirst
		e.rules = []rules.Rule{{Source: host(e.address), Protocol: e.protocol, SourcePorts: e.ports, Target: target}}
	})
}

// cuts tells whether a service ends the connections of a backend that goes down.
func cuts(service config.Service, protocol string) bool {
	return protocol == string(config.UDP) || service.OnDown == config.ResetDown
}

// silences tells whether POST depends on which backends of a service are down.
func silences(service config.Service) bool {
	cut := func(p config.Protocol) bool { return cuts(service, string(p)) }
	return service.Takeover && slices.ContainsFunc(service.Protocols, cut)
}

// begunByBackends returns entries of the same connections, which FORWARD is to let through. For
// connection tracking the backend began them, so no accept for what clients asked matches them.
func begunByBackends(services []config.Service) []dispatchEntry {
	open := func(s config.Service, _ config.Backend, _ string) bool { return s.Forward == config.Accept }
	return byAnswer(services, open, func(e *dispatchEntry, _ dispatchEntry) {
		e.side = backendBegan
		e.rules = []rules.Rule{{
			ConnectionProtocol: e.protocol, OriginalSource: host(e.address), OriginalSourcePorts: e.ports,
			Target: rules.Target{Kind: rules.Accept},
		}}
	})
}

// byAnswer returns an entry for each address and port where a backend of a service with takeover
// answers, a drained one too, if it is wanted. complete fills the entry, and gets what the backend
// answers for there: config refuses two such listen addresses.
func byAnswer(services []config.Service, wanted func(s config.Service, b config.Backend, protocol string) bool, complete func(e *dispatchEntry, asked dispatchEntry)) []dispatchEntry {
	var entries []dispatchEntry
	for _, service := range services {
		if !service.Takeover {
			continue
		}
		for entry := range asked(service) {
			for _, backend := range service.Backends {
				if !wanted(service, backend, entry.protocol) || service.Stays(entry.listen, backend) {
					continue
				}
				answer := dispatchEntry{address: backend.Addr, protocol: entry.protocol, ports: answersAt(entry.listen, backend)}
				complete(&answer, entry)
				entries = append(entries, answer)
			}
		}
	}
	return entries
}

// keepsOpen tells whether a backend that gets nothing that begins keeps its open connections, also
// when another balancer had them. One that is down does not.
func keepsOpen(b config.Backend) bool { return b.Drain && !b.Out && b.Weight > 0 }

// kept returns the rules by which a backend keeps what is open.
func (p *selector) kept(backend config.Backend) []rules.Rule {
	list := slices.DeleteFunc(p.translate(backend), func(r rules.Rule) bool { return r.Protocol != string(config.TCP) })
	for i := range list {
		list[i].Midstream = true
	}
	return list
}

// keepsAny tells whether a service has such a backend.
func keepsAny(service config.Service) bool {
	return service.Takeover && slices.Contains(service.Protocols, config.TCP) && slices.ContainsFunc(service.Backends, keepsOpen)
}

// reaches tells whether rules lead anything to a backend of a service.
func reaches(service config.Service) bool { return len(service.Active()) > 0 || keepsAny(service) }

// formerOwners returns for each slot the backend that owned it before that was drained, -1 for a
// slot whose owner is not drained, and nil where no rule needs any. What is in the middle of a
// connection goes to the former owner; what begins one goes to the new owner, or is refused where
// there is none.
func formerOwners(service config.Service) []int {
	if !keepsAny(service) {
		return nil
	}
	service.Backends = slices.Clone(service.Backends)
	drained := make([]bool, len(service.Backends))
	for i := range service.Backends {
		b := &service.Backends[i]
		if drained[i] = keepsOpen(*b); drained[i] || !b.Backup {
			b.Drain, b.Out = false, false
		}
	}
	owners := service.Owners()
	for slot, owner := range owners {
		if !drained[owner] {
			owners[slot] = -1
		}
	}
	return owners
}
