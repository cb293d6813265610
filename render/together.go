package render

import (
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// listenPlace is a listen address for one protocol.
type listenPlace struct {
	listen   string
	protocol string
}

// placeOf returns the place of an entry.
func placeOf(e dispatchEntry) listenPlace {
	l := e.listen
	l.To = 0
	return listenPlace{l.String(), e.protocol}
}

// together are the places where several services listen, which interfaces or clients tell apart.
type together map[listenPlace][]config.Service

// togetherOf finds the places of several services. Each of these has conditions.
func togetherOf(services []config.Service) together {
	var with []config.Service
	for _, service := range services {
		if service.Gated() || len(service.Interfaces) > 0 {
			with = append(with, service)
		}
	}
	if len(with) < 2 {
		return nil
	}
	all := together{}
	for _, service := range with {
		for entry := range asked(service) {
			at := placeOf(entry)
			all[at] = append(all[at], service)
		}
	}
	for at, here := range all {
		if len(here) < 2 {
			delete(all, at)
		}
	}
	return all
}

// passing returns the names of the services whose gates let clients pass on whom they do not serve:
// at some place another service may be for these.
func (t together) passing() map[string]bool {
	names := map[string]bool{}
	for _, here := range t {
		for i, a := range here {
			for _, b := range here[:i] {
				if !a.ApartByInterface(b.Audience) { // else by clients
					names[a.Name], names[b.Name] = true, true
				}
			}
		}
	}
	return names
}

// refusals returns the entries of PRE that refuse the clients whom no service at a place serves. They
// come behind those that lead to the gates of the services. A service that passes clients on at one
// place does so at all.
func (t together) refusals(services []config.Service, passing map[string]bool) []dispatchEntry {
	var entries []dispatchEntry
	type refused struct {
		listenPlace
		link string
	}
	known := map[refused]bool{}
	for _, service := range services {
		if !passing[service.Name] || service.Refused != config.Reject {
			continue
		}
		for entry := range asked(service) {
			rule := toService(entry, service)
			rule.Target.Chain = refusalChain(service.Name)
			for _, rule := range byInterface(rule, service) {
				by, any := refused{placeOf(entry), rule.InInterface}, refused{placeOf(entry), ""}
				if !known[by] && !known[any] {
					known[by] = true
					entry.rules = append(entry.rules, rule)
				}
			}
			if entry.side = incomingOnly; len(entry.rules) > 0 {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// ledTo returns the names of the chains that entries lead to.
func ledTo(entries []dispatchEntry) map[string]bool {
	names := map[string]bool{}
	for _, entry := range entries {
		for _, rule := range entry.rules {
			names[rule.Target.Chain] = true
		}
	}
	return names
}

// last returns the service at the place of an entry whose rules of POST come behind those of the
// others, and do not ask for the backend: of those that reach a backend, the first one with most of
// them.
func (t together) last(entry dispatchEntry) (last config.Service, found bool) {
	for _, service := range t[placeOf(entry)] {
		if reaches(service) && len(service.Backends) > len(last.Backends) {
			last, found = service, true
		}
	}
	return last, found
}

// narrowed returns the rules of POST for a service that is not the last one at the place of an
// entry. They ask for the backend, as no two services have one in common there. It returns none
// where the rules of the last service do the same.
func narrowed(service, last config.Service, entry dispatchEntry, rule rules.Rule) []rules.Rule {
	sources := sourceRules(service)
	if slices.Equal(sources, sourceRules(last)) {
		return nil
	}
	var list []rules.Rule
	for _, backend := range service.Backends {
		rule.Destination, rule.DestinationPorts = host(backend.Addr), answersAt(entry.listen, backend)
		list = append(list, complete(rule, sources)...)
	}
	return list
}
