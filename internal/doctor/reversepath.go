package doctor

import (
	"fmt"
	"net/netip"
)

// reversePath looks for backends whose answers can come in by another interface than
// the one by which packets go to them, where that drops them: rp_filter is strict
// there. What counts is the greater value of all and the interface (ip-sysctl.rst).
// IPv6 has no such filter.
func (e examination) reversePath() []Finding {
	var found []Finding
	for _, b := range e.backends(anyService) {
		if b.addr.Is6() {
			continue
		}
		way, err := e.network.routeTo(b.addr)
		if err != nil || way.local {
			continue // routes says so
		}
		seen := map[string]bool{way.link: true}
		for _, near := range e.network.beside(b.addr) {
			if seen[near.link.name] || !near.link.up {
				continue
			}
			seen[near.link.name] = true
			strict, err := e.strict(near.link.name)
			switch {
			case err != nil:
				found = append(found, cannotTell("whether rp_filter is strict on "+near.link.name, err))
			case strict:
				found = append(found, e.asymmetric(b, way, near))
			}
		}
	}
	return found
}

// strict tells whether an interface drops what would be answered by another one.
func (e examination) strict(name string) (bool, error) {
	most := 0
	for _, conf := range []string{"all", name} {
		value, err := e.number("net/ipv4/conf/" + conf + "/rp_filter")
		if err != nil {
			return false, err
		}
		most = max(most, value)
	}
	return most == 1, nil
}

// asymmetric is the finding of a backend beside one interface that is reached by
// another. It answers beside when what it answers to is there, too: then it is broken.
// Otherwise that is up to its own routes.
func (e examination) asymmetric(b backend, way route, near address) Finding {
	key := "net/ipv4/conf/" + near.link.name + "/rp_filter"
	found := Finding{
		Risk, fmt.Sprintf("packets to backend %v of %s go out by %s, but it is in %v on %s, where rp_filter is strict: answers that come in there are dropped",
			b.addr, few(b.services), way.link, near.subnet, near.link.name),
		"sysctl -w " + dotted(key) + "=2",
	}
	for _, answered := range e.answered(b.addr, way) {
		if near.subnet.Contains(answered) && !e.network.holds(way.link, near.subnet) {
			found.Severity = Broken
		}
	}
	return found
}

// answered returns the addresses that a backend sees and answers to, as far as they
// are the host's.
func (e examination) answered(addr netip.Addr, way route) []netip.Addr {
	var seen []netip.Addr
	for _, service := range e.Services {
		for _, b := range service.Backends {
			switch {
			case b.Addr() != addr || service.Source.None:
			case service.Source.Addr.IsValid():
				seen = append(seen, service.Source.Addr)
			default:
				seen = append(seen, way.source)
			}
		}
	}
	return seen
}

// holds tells whether an interface is in a subnet, too.
func (n network) holds(name string, subnet netip.Prefix) bool {
	for _, a := range n.addresses {
		if a.link.name == name && a.subnet == subnet {
			return true
		}
	}
	return false
}
