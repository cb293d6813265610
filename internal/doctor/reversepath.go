package doctor

import (
	"fmt"
	"net/netip"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/hostfiles"
	"natspread/internal/network"
	"natspread/internal/text"
)

// reversePath looks for backends whose replies can come in by another interface than the
// one by which packets go to them, and are dropped there because rp_filter is strict. IPv6
// has no such filter.
func (e examination) reversePath() []Finding {
	var found []Finding
	backends := e.backends(anyService)
	for _, addr := range backends.keys {
		if to, err := e.network.RouteTo(addr); err == nil && !to.Local && addr.Is4() { // for the rest see routes
			found = append(found, e.strictBeside(addr, backends.values[addr], to)...)
		}
	}
	return found
}

// strictBeside returns a finding for each strict interface, other than the one that the
// route leads to, in whose subnet a backend of some services is.
func (e examination) strictBeside(addr netip.Addr, services []string, to network.Route) []Finding {
	var found []Finding
	seen := map[string]bool{to.Link: true}
	for _, near := range e.network.Beside(addr) {
		if seen[near.Link.Name] || !near.Link.Up {
			continue
		}
		seen[near.Link.Name] = true
		strict, err := e.strict(near.Link.Name)
		switch {
		case err != nil:
			found = append(found, cannotTell("whether rp_filter is strict on "+near.Link.Name, err))
		case strict:
			found = append(found, e.asymmetric(addr, services, to, near))
		}
	}
	return found
}

// filterKey returns the key of the filter of an interface.
func filterKey(name string) string { return "net/ipv4/conf/" + name + "/rp_filter" }

// loosen is the line after which the filter of an interface asks only for some route to a source.
func loosen(name string) string { return "sysctl -w " + hostfiles.Dotted(filterKey(name)) + "=2" }

// strict tells whether an interface drops packets whose source the host reaches by another
// one. The greater of the two values, of all and of the interface, counts (ip-sysctl.rst).
func (e examination) strict(name string) (bool, error) {
	most := 0
	for _, conf := range []string{"all", name} {
		value, err := e.number(filterKey(conf))
		if err != nil {
			return false, err
		}
		most = max(most, value)
	}
	return most == 1, nil
}

// asymmetric is the finding of a backend that is in the subnet of one interface and is
// reached by another. It is Broken when the address that the backend replies to is in that
// subnet, too. Otherwise the backend's own routes decide where its replies come in.
func (e examination) asymmetric(addr netip.Addr, services []string, to network.Route, near network.Address) Finding {
	found := Finding{
		Severity: Risk, What: fmt.Sprintf("packets to backend %v of %s go out by %s, but the backend is in %v on %s, where rp_filter is strict: answers that come in there are dropped",
			addr, text.Few(services), to.Link, near.Subnet, near.Link.Name),
		Fix: loosen(near.Link.Name), Loss: finding.Loss{Services: services, Backends: []netip.Addr{addr}, AtRisk: true},
	}
	for _, source := range e.sourcesFor(addr, to) {
		if near.Subnet.Contains(source) && !e.network.Holds(to.Link, near.Subnet) {
			found.Severity = Broken
		}
	}
	return found
}

// sourcesFor returns the addresses of the host that a backend sees as the client's, and
// replies to.
func (e examination) sourcesFor(addr netip.Addr, to network.Route) []netip.Addr {
	var seen []netip.Addr
	for _, service := range e.Services {
		for _, b := range service.Active() {
			switch {
			case b.Addr != addr || keepsClient(service):
			case service.SNAT.Mode == config.Address:
				seen = append(seen, service.SNAT.Addresses()...)
			default:
				seen = append(seen, to.Source)
			}
		}
	}
	return seen
}
