package doctor

import (
	"errors"
	"fmt"
	"net/netip"

	"natspread/internal/config"
	"natspread/internal/doctor/astray"
	"natspread/internal/doctor/finding"
	"natspread/internal/network"
	"natspread/internal/text"
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

// routes looks for backends that no route leads to, and for those that packets go to as they go to
// everybody. Nobody may have meant these to be reached that way.
func (e examination) routes() []Finding {
	var found []Finding
	var far []netip.Addr
	backends, away := e.backends(anyService), astray.Host{Network: e.network, Services: e.Services}
	for _, addr := range backends.keys {
		to, err := e.network.RouteTo(addr)
		switch {
		case errors.Is(err, network.ErrNoRoute):
			one := e.noRoute(addr, backends.values[addr])
			one.Of = finding.Subject{Kind: "backends have no route that leads to them", Name: addr.String(), Services: backends.values[addr]}
			found = append(found, one)
		case err != nil:
			found = append(found, cannotTell("the route to "+addr.String(), err))
		case !to.Local && away.Away(addr, to):
			far = append(far, addr)
		}
	}
	if len(far) == 0 {
		return found
	}
	for _, doubt := range away.Find(far, backends.values) {
		of := finding.Subject{Kind: "groups of backends are on no subnet of the host", Name: doubt.Backends[0].String()}
		for _, addr := range doubt.Backends {
			of.Services = append(of.Services, backends.values[addr]...)
		}
		found = append(found, Finding{Severity: Risk, What: doubt.What, Fix: doubt.Fix, Of: of, Loss: finding.Loss{Backends: doubt.Backends, AtRisk: true}})
	}
	return found
}

// noRoute is the finding of a backend that packets cannot go to. Where nothing on the host
// says which router leads there, the word ROUTER is left to fill in.
func (e examination) noRoute(addr netip.Addr, services []string) Finding {
	what := fmt.Sprintf("no route leads to backend %v of %s", addr, text.Few(services))
	if words, refused := e.network.Refusing(addr); refused {
		return Finding{Severity: Broken, What: what + ": the host has the route " + words, Fix: "ip route del " + words}
	}
	beside := e.network.Beside(addr)
	switch {
	case len(beside) == 0:
		return Finding{Severity: Broken, What: what, Fix: fmt.Sprintf("ip route add %v via ROUTER", addr)}
	case !beside[0].Link.Up:
		return Finding{Severity: Broken, What: what + ": " + beside[0].Link.Name + " is down", Fix: "ip link set " + beside[0].Link.Name + " up"}
	}
	return Finding{
		Severity: Broken, What: what + ", although it is beside " + beside[0].Link.Name,
		Fix: fmt.Sprintf("ip route add %v dev %s", beside[0].Subnet, beside[0].Link.Name),
	}
}
