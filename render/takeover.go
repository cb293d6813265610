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
// address and port that its client had asked. So it is after another balancer had the
// connection: connection tracking begins here with the packet of whoever speaks.
func saidFirst(services []config.Service) []dispatchEntry {
	return byAnswer(services, func(e *dispatchEntry, asked dispatchEntry) {
		target := rules.Target{Kind: rules.SNAT, Address: asked.address}
		if asked.ports.First == asked.ports.Last {
			target.Port = asked.ports.First // of several each is kept
		}
		e.side = backendFirst
		e.rules = []rules.Rule{{Source: host(e.address), Protocol: e.protocol, SourcePorts: e.ports, Target: target}}
	})
}

// begunByBackends returns entries of the same connections, which FORWARD is to let through: the
// backend has begun them as far as connection tracking knows, so no accept of what clients
// asked for meets them.
func begunByBackends(services []config.Service) []dispatchEntry {
	closed := func(s config.Service) bool { return s.Forward != config.Accept }
	return byAnswer(slices.DeleteFunc(slices.Clone(services), closed), func(e *dispatchEntry, _ dispatchEntry) {
		e.side = backendBegan
		e.rules = []rules.Rule{{
			ConnectionProtocol: e.protocol, OriginalSource: host(e.address), OriginalSourcePorts: e.ports,
			Target: rules.Target{Kind: rules.Accept},
		}}
	})
}

// byAnswer returns an entry for each place where a backend of a service with takeover answers,
// drained ones too, completed by a function that is told for what it answers there: no config
// has two such listen addresses.
func byAnswer(services []config.Service, complete func(e *dispatchEntry, asked dispatchEntry)) []dispatchEntry {
	var entries []dispatchEntry
	for _, service := range services {
		if !service.Takeover {
			continue
		}
		for entry := range asked(service) {
			for _, backend := range service.Backends {
				answer := dispatchEntry{address: backend.Addr, protocol: entry.protocol, ports: answersAt(backend, entry.ports)}
				complete(&answer, entry)
				entries = append(entries, answer)
			}
		}
	}
	return entries
}

// formerOwners returns the owners of the slots as they were before backends were drained, nil
// where that is of no use. The connections that these have still are led to them, also when
// another balancer had them: only what begins goes to the new owner. A backend that is down
// keeps none.
func formerOwners(service config.Service) []int {
	keeps := func(b config.Backend) bool { return b.Drain && !b.Out }
	if !service.Takeover || !slices.Contains(service.Protocols, config.TCP) || !slices.ContainsFunc(service.Backends, keeps) {
		return nil
	}
	service.Backends = slices.Clone(service.Backends)
	drained := make([]bool, len(service.Backends))
	for i := range service.Backends {
		b := &service.Backends[i]
		if drained[i] = keeps(*b); drained[i] || !b.Backup {
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
