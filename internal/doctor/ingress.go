package doctor

import (
	"net/netip"
	"slices"

	"natspread/internal/rules"
)

// ingressLinks returns the interfaces that connections to a listen address come in by: the
// one in the config, else the one that the address is beside, else those that are
// likely. sure is false when they can come in by others, too, as to an address that a
// router sends here.
func (e examination) ingressLinks(service Service, listen Listen) (ways []string, sure bool) {
	if service.Interface != "" {
		return []string{service.Interface}, true
	}
	add := func(name string) {
		if name != "" && name != "lo" && !slices.Contains(ways, name) {
			ways = append(ways, name)
		}
	}
	for _, near := range e.network.beside(listen.Addr) {
		add(near.link.name)
	}
	if len(ways) > 0 {
		return ways, true
	}
	// A dummy holds addresses for others, as lo does: nothing comes in there.
	if holder, held := e.network.holder(listen.Addr); held && !holder.link.noARP {
		add(holder.link.name)
	}
	if len(ways) == 0 {
		add(e.network.defaultLink(service.Family))
	}
	if len(ways) == 0 && !listen.Addr.IsValid() { // of "*" each address of the host is one
		for _, a := range e.network.addresses {
			if rules.FamilyOf(a.addr) == service.Family && a.link.up {
				add(a.link.name)
			}
		}
	}
	return ways, false
}

// comesIn returns the interface that connections come in by, "" where that is none, or
// not one. Of several those count that are not the way to a backend.
func (e examination) comesIn(service Service, listen Listen) string {
	ways, _ := e.ingressLinks(service, listen)
	if len(ways) > 1 {
		ways = slices.DeleteFunc(ways, func(name string) bool { return e.answersBy(service, name) })
	}
	if len(ways) == 1 {
		return ways[0]
	}
	return ""
}

// matters tells how much it does that no IPv4 packet is forwarded which comes in by an
// interface: Broken when clients' packets do, or the answers of a backend, Risk when
// those of some services may, and "" when nothing of the balancer's does.
func (e examination) matters(name string) (severity Severity, services []string) {
	for _, service := range e.Services {
		if service.Family != rules.IPv4 {
			continue
		}
		uses, may := e.answersBy(service, name), false
		for _, listen := range service.Listen {
			ways, sure := e.ingressLinks(service, listen)
			uses = uses || slices.Contains(ways, name)
			may = may || !sure
		}
		if uses {
			return Broken, nil
		}
		if may && e.network.reaches(name) {
			severity, services = Risk, append(services, service.Name)
		}
	}
	return severity, services
}

// answersBy tells whether the way to a backend, and so that of its answers, is by an
// interface.
func (e examination) answersBy(service Service, name string) bool {
	return slices.ContainsFunc(service.Backends, func(backend netip.AddrPort) bool {
		way, err := e.network.routeTo(backend.Addr())
		return err == nil && !way.local && way.link == name
	})
}

// reaches tells whether somebody can send IPv4 packets to the host by an interface: it
// is up and has an address that is not only held there for others, as on a dummy.
func (n network) reaches(name string) bool {
	return slices.ContainsFunc(n.addresses, func(a address) bool {
		holdsOnly := a.link.noARP && a.subnet.Bits() == a.addr.BitLen()
		return a.link.name == name && a.link.up && a.addr.Is4() && !holdsOnly
	})
}
