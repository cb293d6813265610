package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// backend is one address of backends, with the services that it belongs to.
type backend struct {
	addr     netip.Addr
	services []string
}

// backends returns the address of each backend that passes, once.
func (e examination) backends(pass func(Service) bool) []backend {
	var all []backend
	place := map[netip.Addr]int{}
	for _, service := range e.Services {
		if !pass(service) {
			continue
		}
		for _, b := range service.Backends {
			i, found := place[b.Addr()]
			if !found {
				i = len(all)
				place[b.Addr()] = i
				all = append(all, backend{addr: b.Addr()})
			}
			if !slices.Contains(all[i].services, service.Name) {
				all[i].services = append(all[i].services, service.Name)
			}
		}
	}
	return all
}

// anyService passes every service.
func anyService(Service) bool { return true }

// routes looks for backends that no route leads to, and for those that only the
// default route does: it is the way for all that nobody thought of.
func (e examination) routes() []Finding {
	var found []Finding
	far := map[string][]netip.Addr{} // backends by where the default route leads
	var ways []string
	for _, b := range e.backends(anyService) {
		way, err := e.network.routeTo(b.addr)
		switch {
		case errors.Is(err, errNoRoute):
			found = append(found, e.noRoute(b))
		case err != nil:
			found = append(found, cannotTell("the route to "+b.addr.String(), err))
		case way.byDefault:
			via := "dev " + way.link
			if way.gateway.IsValid() {
				via = fmt.Sprintf("via %v dev %s", way.gateway, way.link)
			}
			if far[via] == nil {
				ways = append(ways, via)
			}
			far[via] = append(far[via], b.addr)
		}
	}
	for _, via := range ways {
		found = append(found, byDefault(far[via], via))
	}
	return found
}

// noRoute is the finding of a backend that packets cannot go to. Where nothing on the
// host tells by which router it is reached, ROUTER is left to fill in.
func (e examination) noRoute(b backend) Finding {
	what := fmt.Sprintf("no route leads to backend %v of %s", b.addr, few(b.services))
	if words, refused := e.network.refusing(b.addr); refused {
		return Finding{Broken, what + ": the one that does is " + words, "ip route del " + words}
	}
	beside := e.network.beside(b.addr)
	switch {
	case len(beside) == 0:
		return Finding{Broken, what, fmt.Sprintf("ip route add %v via ROUTER", b.addr)}
	case !beside[0].link.up:
		return Finding{Broken, what + ": " + beside[0].link.name + " is down", "ip link set " + beside[0].link.name + " up"}
	}
	return Finding{
		Broken, what + ", although it is beside " + beside[0].link.name,
		fmt.Sprintf("ip route add %v dev %s", beside[0].subnet, beside[0].link.name),
	}
}

// byDefault is the finding of backends that only the default route leads to. A route
// of their own, to the smallest prefix that holds them all, says that this is meant.
func byDefault(backends []netip.Addr, via string) Finding {
	words, verb := make([]string, len(backends)), "is"
	if len(backends) > 1 {
		verb = "are"
	}
	shared := netip.PrefixFrom(backends[0], backends[0].BitLen())
	for i, addr := range backends {
		words[i] = addr.String()
		for !shared.Contains(addr) {
			shared = netip.PrefixFrom(shared.Addr(), shared.Bits()-1).Masked()
		}
	}
	found := Finding{Severity: Risk, What: fmt.Sprintf("%s %s on no subnet of the host: only the default route leads there, %s", few(words), verb, via)}
	if shared.Bits() > 0 {
		found.Fix = fmt.Sprintf("ip route add %v %s", shared, via)
	}
	return found
}
