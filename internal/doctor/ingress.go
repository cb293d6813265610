package doctor

import (
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// ingressLinks returns the interfaces that connections to a listen address come in by: the
// ones in the config, else those in whose subnet the address is, else likely ones. sure is
// false when connections can come in by others too, as to an address that a router sends
// here.
func (e examination) ingressLinks(service config.Service, listen config.Listen) (names []string, sure bool) {
	if len(service.Interfaces) > 0 {
		return e.network.Names(service.Interfaces), true
	}
	add := func(name string) {
		if name != "" && name != "lo" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, near := range e.network.Beside(listen.Addr) {
		add(near.Link.Name)
	}
	if len(names) > 0 {
		return names, true
	}
	// On a dummy interface, as on lo, an address is only kept: no packet comes in there.
	if holder, held := e.network.Holder(listen.Addr); held && !holder.Link.NoARP {
		add(holder.Link.Name)
	}
	if len(names) == 0 {
		add(e.network.DefaultLink(familyOf(service)))
	}
	if len(names) == 0 && listen.Any() {
		for _, a := range e.network.Addresses {
			if rules.FamilyOf(a.Addr) == familyOf(service) && a.Link.Up {
				add(a.Link.Name)
			}
		}
	}
	return names, false
}

// comesIn returns the interface that connections come in by, "" where it is not known
// which one. Of several, those that lead to a backend do not count.
func (e examination) comesIn(service config.Service, listen config.Listen) string {
	names, _ := e.ingressLinks(service, listen)
	if len(names) > 1 {
		names = slices.DeleteFunc(names, func(name string) bool { return e.leadsToBackend(service, name) })
	}
	if len(names) == 1 {
		return names[0]
	}
	return ""
}

// matters returns how much it matters that IPv4 packets which come in by an interface are
// not forwarded. It is Broken when packets of clients or replies of a backend come in there,
// Risk with the services whose packets may do so, and "" when no packet of the balancer's
// does.
func (e examination) matters(name string) (severity Severity, services []string) {
	for _, service := range e.Services {
		if familyOf(service) != rules.IPv4 {
			continue
		}
		uses, may := e.leadsToBackend(service, name), false
		for _, listen := range service.Listen {
			names, sure := e.ingressLinks(service, listen)
			uses = uses || slices.Contains(names, name)
			may = may || !sure
		}
		if uses {
			return Broken, nil
		}
		if may && e.network.Reaches(name) {
			severity, services = Risk, append(services, service.Name)
		}
	}
	return severity, services
}

// leadsToBackend tells whether packets to a backend of a service go out by an interface.
// Then its replies come in there.
func (e examination) leadsToBackend(service config.Service, name string) bool {
	return slices.ContainsFunc(service.Active(), func(backend config.Backend) bool {
		to, err := e.network.RouteTo(backend.Addr)
		return err == nil && !to.Local && to.Link == name
	})
}
