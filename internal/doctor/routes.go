package doctor

import (
	"errors"
	"fmt"
	"net/netip"

	"natspread/internal/config"
	"natspread/internal/network"
)

// backends returns the address of each backend of the services that pass, with the names
// of these services. Drained backends get no new connections, so nothing about them has to
// work.
func (e examination) backends(pass func(config.Service) bool) groups[netip.Addr, string] {
	var all groups[netip.Addr, string]
	for _, service := range e.Services {
		if !pass(service) {
			continue
		}
		for _, b := range service.Active() {
			all.add(b.Addr, service.Name)
		}
	}
	return all
}

// anyService passes every service.
func anyService(config.Service) bool { return true }

// routes looks for backends that no route leads to, and for those that only the default
// route leads to. Nobody may have meant these to be reached that way.
func (e examination) routes() []Finding {
	var found []Finding
	var far groups[string, netip.Addr] // backends by where the default route leads
	backends := e.backends(anyService)
	for _, addr := range backends.keys {
		to, err := e.network.RouteTo(addr)
		switch {
		case errors.Is(err, network.ErrNoRoute):
			found = append(found, e.noRoute(addr, backends.values[addr]))
		case err != nil:
			found = append(found, cannotTell("the route to "+addr.String(), err))
		case to.ByDefault:
			far.add(to.Via(), addr)
		}
	}
	for _, via := range far.keys {
		found = append(found, byDefault(far.values[via], via))
	}
	return found
}

// noRoute is the finding of a backend that packets cannot go to. Where nothing on the host
// says which router leads there, the word ROUTER is left to fill in.
func (e examination) noRoute(addr netip.Addr, services []string) Finding {
	what := fmt.Sprintf("no route leads to backend %v of %s", addr, few(services))
	if words, refused := e.network.Refusing(addr); refused {
		return Finding{Broken, what + ": the host has the route " + words, "ip route del " + words}
	}
	beside := e.network.Beside(addr)
	switch {
	case len(beside) == 0:
		return Finding{Broken, what, fmt.Sprintf("ip route add %v via ROUTER", addr)}
	case !beside[0].Link.Up:
		return Finding{Broken, what + ": " + beside[0].Link.Name + " is down", "ip link set " + beside[0].Link.Name + " up"}
	}
	return Finding{
		Broken, what + ", although it is beside " + beside[0].Link.Name,
		fmt.Sprintf("ip route add %v dev %s", beside[0].Subnet, beside[0].Link.Name),
	}
}

// byDefault is the finding of backends that only the default route leads to. With a route of
// their own, to the smallest prefix that has all of them, the administrator says that this
// is on purpose.
func byDefault(backends []netip.Addr, via string) Finding {
	verb := "is"
	if len(backends) > 1 {
		verb = "are"
	}
	shared := netip.PrefixFrom(backends[0], backends[0].BitLen())
	for _, addr := range backends {
		for !shared.Contains(addr) {
			shared = netip.PrefixFrom(shared.Addr(), shared.Bits()-1).Masked()
		}
	}
	found := Finding{Severity: Risk, What: fmt.Sprintf("%s %s on no subnet of the host: only the default route leads there, %s", few(backends), verb, via)}
	if shared.Bits() > 0 {
		found.Fix = fmt.Sprintf("ip route add %v %s", shared, via)
	}
	return found
}
