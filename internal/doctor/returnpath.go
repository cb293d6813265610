package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/doctor/inconfig"
	"natspread/internal/network"
	"natspread/internal/text"
)

// keepsClient passes services whose backends see the client's own address.
func keepsClient(service config.Service) bool { return service.SNAT.Mode == config.None }

// hairpin looks for clients in the subnet of a backend that sees their own address. The
// backend sends its reply directly to such a client. The client drops it: the reply comes
// from another address than the one that it sent its packet to.
func (e examination) hairpin() []Finding {
	var found []Finding
	for _, service := range e.Services {
		if !keepsClient(service) {
			continue
		}
		if lacking := e.lacking(service); len(lacking) > 0 {
			found = append(found, e.noHairpin(service, lacking))
		}
	}
	return found
}

// noHairpin is the finding of subnets that the hairpin of a service lacks.
func (e examination) noHairpin(service config.Service, lacking []netip.Prefix) Finding {
	var had []netip.Prefix
	for _, half := range e.halves(service.Name) {
		had = append(had, half.Hairpin...)
	}
	return Finding{
		Severity: Risk, What: fmt.Sprintf("service %s: clients in %s are in the subnet of backends, which answer them directly: without hairpin these clients time out", service.Name, text.Few(lacking)),
		Fix: inconfig.Line(service.Name, "hairpin = "+inconfig.List(slices.Concat(had, lacking))),
	}
}

// lacking returns the subnets in which a service has backends and can have clients, and
// which no hairpin covers. On a bridge of the host itself answers pass iptables on their way
// to such a client, where the bridge asks it.
func (e examination) lacking(service config.Service) []netip.Prefix {
	var lacking []netip.Prefix
	for _, b := range service.Active() {
		for _, near := range e.network.Beside(b.Addr) {
			elsewhere := !service.ComesBy(near.Link.Name) || service.ServesNone(near.Subnet)
			if elsewhere || e.bridgeAsks(near.Link, b.Addr) || covered(service.Hairpin, near.Subnet) || slices.Contains(lacking, near.Subnet) {
				continue
			}
			lacking = append(lacking, near.Subnet)
		}
	}
	return lacking
}

// bridgeAsks tells whether an interface is a bridge that has iptables look at what it passes
// on to addresses of a family. Without the switch the module for it is not loaded.
func (e examination) bridgeAsks(link network.Link, addr netip.Addr) bool {
	key := "net/bridge/bridge-nf-call-iptables"
	if addr.Is6() {
		key = "net/bridge/bridge-nf-call-ip6tables"
	}
	asks, err := e.number(key)
	return link.Kind == "bridge" && err == nil && asks == 1
}

// besideBackends looks for services that take only what comes in by some interfaces, and that
// have clients beside their backends, by another one: these are not balanced. That there are
// any, hairpin tells: one that was refused leaves no tracked connection (RST after SYN).
func (e examination) besideBackends() []Finding {
	var found []Finding
	for _, service := range e.Services {
		if len(service.Interfaces) == 0 || len(e.interfacesOf(service)) > 0 { // which says that nothing is balanced
			continue
		}
		var beside groups[netip.Prefix, string]
		for _, b := range service.Active() {
			for _, near := range e.network.Beside(b.Addr) {
				if !service.ComesBy(near.Link.Name) && near.Link.Up && covered(service.Hairpin, near.Subnet) {
					beside.add(near.Subnet, near.Link.Name)
				}
			}
		}
		for _, subnet := range beside.keys {
			found = append(found, Finding{
				Severity: Risk, What: fmt.Sprintf("service %s takes only what comes in by %s: clients in %v, beside its backends on %s, are not balanced", service.Name, text.Few(service.Interfaces), subnet, text.Few(beside.values[subnet])),
				Fix: inconfig.Line(service.Name, "take interface out"),
			})
		}
	}
	return found
}

// covered tells whether one of some prefixes holds all of another.
func covered(by []netip.Prefix, subnet netip.Prefix) bool {
	return slices.ContainsFunc(by, func(p netip.Prefix) bool {
		return p.Bits() <= subnet.Bits() && p.Contains(subnet.Addr())
	})
}

// returnPath names backends whose replies to clients take the backends' own routes. The
// host cannot see these. Only a tracked connection with a reply shows that they lead here.
func (e examination) returnPath() []Finding {
	var unknown groups[netip.Addr, netip.Addr] // backends by the host's address in their subnet
	var shared []netip.Addr
	ofSeveral := e.backends(func(s config.Service) bool { return s.Takeover }).keys
	all, of := e.backends(keepsClient), map[netip.Addr][]string{}
	for _, addr := range all.keys {
		if e.repliedHere(addr) {
			continue
		}
		if slices.Contains(ofSeveral, addr) {
			shared = append(shared, addr)
			continue
		}
		gateway := netip.Addr{}
		if near := e.network.Beside(addr); len(near) > 0 {
			gateway = near[0].Addr
		}
		unknown.add(gateway, addr)
		of[gateway] = append(of[gateway], all.values[addr]...)
	}
	var found []Finding
	for _, gateway := range unknown.keys {
		slices.Sort(of[gateway])
		of[gateway] = slices.Compact(of[gateway])
		found = append(found, notKnown(unknown.values[gateway], of[gateway], gateway))
	}
	if len(shared) > 0 { // no address of one balancer's own will do
		found = append(found, Finding{
			Severity: Risk, What: fmt.Sprintf("with takeover the answers of %s must be routed through the balancer that the client asked; this host cannot see whether they are", text.Few(shared)),
			Fix: "ip route replace default via GATEWAY # on each of them; GATEWAY is the address that moves to the balancer that takes over", Loss: finding.Loss{Backends: shared, AtRisk: true},
		})
	}
	return found
}

// notKnown is the finding of backends whose return path is not known. When they are in no
// subnet of the host, the routers in between have to send replies here, too.
func notKnown(backends []netip.Addr, services []string, gateway netip.Addr) Finding {
	found := Finding{
		Severity: Risk, What: fmt.Sprintf("with snat = \"none\" the answers of %s must be routed through this host; this host cannot see whether they are", text.Few(backends)),
		Fix: fmt.Sprintf("ip route replace default via %v # on each of them", gateway), Loss: finding.Loss{Backends: backends, AtRisk: true},
	}
	if !gateway.IsValid() {
		found.What, found.Fix = found.What+": these backends are on no subnet of this host", inconfig.Line(text.Few(services), fmt.Sprintf("snat = %q", config.SNAT{}))
	}
	return found
}
