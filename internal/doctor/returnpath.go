package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// keepsClient passes services whose backends see the client's own address.
func keepsClient(service Service) bool { return service.Source.None }

// hairpin looks for subnets of backends whose clients would be answered directly, by a
// backend that they never asked, and so never: backends see the client's address, and
// it is beside them.
func (e examination) hairpin() []Finding {
	var found []Finding
	for _, service := range e.Services {
		if !service.Source.None {
			continue
		}
		lacking := e.lacking(service)
		if len(lacking) == 0 {
			continue
		}
		var quoted, plain []string
		for _, subnet := range append(slices.Clone(service.Hairpin), lacking...) {
			quoted = append(quoted, fmt.Sprintf("%q", subnet))
		}
		for _, subnet := range lacking {
			plain = append(plain, subnet.String())
		}
		found = append(found, Finding{
			Risk, fmt.Sprintf("service %s: clients in %s are beside the backends, which answer them directly: they time out without hairpin", service.Name, few(plain)),
			fmt.Sprintf("hairpin = [%s] # in service %s, then: %s", strings.Join(quoted, ", "), service.Name, applyFixes),
		})
	}
	return found
}

// lacking returns the subnets that backends of a service are in, that its clients can
// be in, too, and that no hairpin covers.
func (e examination) lacking(service Service) []netip.Prefix {
	var lacking []netip.Prefix
	for _, b := range service.Backends {
		for _, near := range e.network.beside(b.Addr()) {
			elsewhere := service.Interface != "" && service.Interface != near.link.name
			if elsewhere || covered(service.Hairpin, near.subnet) || slices.Contains(lacking, near.subnet) {
				continue
			}
			lacking = append(lacking, near.subnet)
		}
	}
	return lacking
}

// covered tells whether one of some prefixes holds all of another.
func covered(by []netip.Prefix, subnet netip.Prefix) bool {
	return slices.ContainsFunc(by, func(p netip.Prefix) bool {
		return p.Bits() <= subnet.Bits() && p.Contains(subnet.Addr())
	})
}

// returnPath names backends that answer clients by their own routes, which the host
// cannot see: unless a connection was answered, it is not known that they lead here.
func (e examination) returnPath() []Finding {
	var found []Finding
	unknown := map[netip.Addr][]string{} // backends by the host's address beside them
	var order []netip.Addr
	for _, b := range e.backends(keepsClient) {
		if e.answeredBy(b.addr) {
			continue
		}
		gateway := netip.Addr{}
		if near := e.network.beside(b.addr); len(near) > 0 {
			gateway = near[0].addr
		}
		if unknown[gateway] == nil {
			order = append(order, gateway)
		}
		unknown[gateway] = append(unknown[gateway], b.addr.String())
	}
	for _, gateway := range order {
		found = append(found, notKnown(unknown[gateway], gateway))
	}
	return found
}

// notKnown is the finding of backends whose way back is not known. Of one on another
// subnet the routers in between would have to send answers here, too.
func notKnown(backends []string, gateway netip.Addr) Finding {
	what := fmt.Sprintf("with snat = \"none\" the answers of %s must be routed through this host, which cannot be seen from here", few(backends))
	if !gateway.IsValid() {
		return Finding{Risk, what + ": they are on no subnet of it", `snat = "masquerade" # in the service, then: ` + applyFixes}
	}
	return Finding{Risk, what, fmt.Sprintf("ip route replace default via %v # on each of them", gateway)}
}
