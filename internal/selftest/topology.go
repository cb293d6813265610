package selftest

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
)

// The interfaces of the balancer that a config does not name. These names are nobody's.
const (
	linkOut   = "natspread-out"   // towards clients
	linkIn    = "natspread-in"    // towards the backends
	linkOther = "natspread-other" // towards clients of services that are for other interfaces
)

// topology is which host has which address.
type topology struct {
	cfg           config.Config
	own           map[netip.Addr]bool   // the balancer's
	backends      map[netip.Addr]bool   // those that are not the balancer's
	networks      map[netip.Prefix]bool // of these backends
	needed        map[netip.Addr]bool   // of own, by the services that are tried
	taken         map[netip.Addr]bool   // by the balancer, a backend or a link
	homes         map[netip.Addr]string // behind which interface a client is
	programs      map[server]bool       // that the balancer itself has
	links         []link
	linksNumbered int // addresses of links that were given away, of both families
}

// server is where a program answers.
type server struct {
	protocol config.Protocol
	at       netip.AddrPort
}

// link is one of the balancer's interfaces, with the addresses of both ends of its veth pair by family:
// the IPv6 ones are second.
type link struct {
	name      string
	near, far [2]netip.Addr
}

// family returns 1 for IPv6, and 0 for IPv4.
func family(six bool) int {
	if six {
		return 1
	}
	return 0
}

// newTopology returns the topology of some services of a config. A backend with an address of this host is
// the balancer's, too.
func newTopology(cfg config.Config, chosen []config.Service, host map[netip.Addr]bool) *topology {
	w := &topology{cfg: cfg, own: map[netip.Addr]bool{}, backends: map[netip.Addr]bool{}, needed: map[netip.Addr]bool{}, networks: map[netip.Prefix]bool{}, taken: map[netip.Addr]bool{}, homes: map[netip.Addr]string{}, programs: map[server]bool{}}
	for _, service := range cfg.Services {
		for _, address := range ownedBy(service) {
			w.own[address], w.taken[address] = true, true
		}
	}
	names := []string{linkIn, linkOut, linkOther}
	for _, service := range chosen {
		for _, address := range ownedBy(service) {
			w.needed[address] = true
		}
		for _, backend := range service.Backends {
			w.taken[backend.Addr] = true
			w.own[backend.Addr] = w.own[backend.Addr] || host[backend.Addr]
			if !w.own[backend.Addr] {
				w.backends[backend.Addr] = true
				w.networks[networkOf(backend.Addr)] = true
			} else {
				w.needed[backend.Addr] = true
			}
		}
		for _, name := range named(service) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		one := link{name: name}
		for _, six := range []bool{false, true} {
			one.near[family(six)], one.far[family(six)] = w.linkAddress(six), w.linkAddress(six)
		}
		w.links = append(w.links, one)
	}
	return w
}

// named returns the interfaces that a service names, and for each pattern one that it holds.
func named(service config.Service) []string {
	all := make([]string, len(service.Interfaces))
	for i, name := range service.Interfaces {
		all[i] = name
		if begin, isPattern := strings.CutSuffix(name, "+"); isPattern {
			all[i] = begin[:min(len(begin), maxName-1)] + "0"
		}
	}
	return all
}

// maxName is how long the name of an interface may be.
const maxName = 15

// hostAddresses returns the addresses of this host; none where they cannot be read.
func hostAddresses() map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	prefixes, _ := net.InterfaceAddrs()
	for _, one := range prefixes {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil {
			all[prefix.Addr()] = true
		}
	}
	return all
}

// ownedBy returns the addresses that a service takes for the balancer's.
func ownedBy(service config.Service) []netip.Addr {
	var all []netip.Addr
	for _, listen := range service.Listen {
		if !listen.Any() {
			all = append(all, listen.Addr)
		}
	}
	return append(all, service.SNAT.Addresses()...)
}

// linkAddress returns the next free address for an end of a link.
func (w *topology) linkAddress(six bool) netip.Addr {
	for {
		w.linksNumbered++
		bytes := linkSubnet(six).Addr().AsSlice()
		bytes[len(bytes)-2], bytes[len(bytes)-1] = byte(w.linksNumbered>>8), byte(w.linksNumbered)
		if address, _ := netip.AddrFromSlice(bytes); !w.taken[address] {
			w.taken[address] = true
			return address
		}
	}
}

// link returns the interface of a name.
func (w *topology) link(name string) link {
	return w.links[slices.IndexFunc(w.links, func(l link) bool { return l.name == name })]
}

// gateway returns the balancer's own address on an interface.
func (w *topology) gateway(name string, six bool) netip.Addr { return w.link(name).near[family(six)] }

// placeClient puts a client behind an interface, unless somebody else has its address.
func (w *topology) placeClient(address netip.Addr, by string) bool {
	home, known := w.homes[address]
	if w.taken[address] || known && home != by {
		return false
	}
	w.homes[address] = by
	return true
}
