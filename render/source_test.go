package render

import (
	"math"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/trace"
)

// mustRewriteSources sends translated packets, those of some of a config's services
// and others', through POSTROUTING and fails unless each gets the source that its
// service's snat says.
func mustRewriteSources(t rapid.TB, cfg config.Config, some []config.Service, table rules.Table) {
	t.Helper()
	owners := ownersOf(servicesOf(cfg, table.Family))
	for packet := range leaving(some, table.Family) {
		outcomes, err := trace.Walk(table, rules.Postrouting, packet)
		if err != nil {
			t.Fatal(err)
		}
		want, rewritten := rewriting(owners.of(packet.OriginalAddress), packet)
		switch {
		case !rewritten && len(outcomes) == 0:
		case rewritten && len(outcomes) == 1 && outcomes[0].Target == want && isOne(outcomes[0].Share):
		default:
			t.Fatalf("%+v meets %v; want %v: %v", packet, outcomes, rewritten, want)
		}
	}
}

// leaving returns packets on their way to backends, each once: as the services
// translate them, as somebody else does, and untranslated.
func leaving(services []config.Service, family rules.Family) map[rules.Packet]bool {
	packets := map[rules.Packet]bool{}
	elsewhere := destinations(config.Listen{}, family)[1].Destination
	for _, service := range services {
		for _, client := range clientsOf(service, family) {
			for packet := range translations(service, elsewhere) {
				packet.Source = client
				packets[packet] = true
				packet.OriginalAddress = elsewhere
				packets[packet] = true
				packet.OriginalAddress, packet.OriginalPort = netip.Addr{}, 0
				packets[packet] = true
			}
		}
	}
	return packets
}

// clientsOf returns a stranger and those at the edges of the hairpin subnets.
func clientsOf(service config.Service, family rules.Family) []netip.Addr {
	all := []netip.Addr{stranger(family)}
	for _, subnet := range service.Hairpin {
		last := lastOf(subnet)
		all = append(all, subnet.Addr(), subnet.Addr().Prev(), last, last.Next())
	}
	return slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.IsValid() })
}

// lastOf returns the last address of a subnet.
func lastOf(subnet netip.Prefix) netip.Addr {
	raw := subnet.Addr().AsSlice()
	for bit := subnet.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(raw)
	return last
}

// translations returns packets to a few backends of a service, and to a machine
// that is none, that had asked for what the service listens on or just beside it.
func translations(service config.Service, elsewhere netip.Addr) map[rules.Packet]bool {
	packets := map[rules.Packet]bool{}
	backends, _ := weighted(service)
	if len(backends) == 0 {
		backends = service.Backends
	}
	few := []config.Backend{backends[0], backends[len(backends)/2], backends[len(backends)-1], {Addr: elsewhere, Port: 80}}
	if i := slices.IndexFunc(service.Backends, func(b config.Backend) bool { return b.Weight == 0 }); i >= 0 {
		few = append(few, service.Backends[i])
	}
	for _, listen := range service.Listen {
		asked := listen.Addr
		if listen.Any() {
			asked = service.Backends[0].Addr.Next() // any address will do for one of this host
		}
		for _, port := range edges(listen.Ports) {
			for _, protocol := range []string{"tcp", "udp", "sctp"} {
				for _, backend := range few {
					packet := rules.Packet{Protocol: protocol, Destination: backend.Addr, Port: backend.Port, OriginalAddress: asked, OriginalPort: port}
					if packet.Port == 0 {
						packet.Port = port
					}
					packets[packet] = true
					packet.Port ^= 1
					packets[packet] = true
				}
			}
		}
	}
	return packets
}

// rewriting returns what a packet's source becomes, by what the configs say.
func rewriting(services []config.Service, packet rules.Packet) (rules.Target, bool) {
	for _, service := range services {
		if !translates(service, packet) {
			continue
		}
		switch service.SNAT.Mode {
		case config.Address:
			return rules.Target{Kind: rules.SNAT, Address: service.SNAT.Addr}, true
		case config.None:
			beside := slices.ContainsFunc(service.Hairpin, func(p netip.Prefix) bool { return p.Contains(packet.Source) })
			return rules.Target{Kind: rules.Masquerade}, beside
		}
		return rules.Target{Kind: rules.Masquerade}, true
	}
	return rules.Target{}, false
}

// translates tells whether a packet's connection may be a new one of the service's.
func translates(service config.Service, packet rules.Packet) bool {
	active, _ := weighted(service)
	return len(active) > 0 && askedFor(service, active, packet, true)
}

// mustLetThrough sends the same packets through FORWARD and fails unless those, and only
// those, are accepted whose service wants that: also when every backend is drained.
func mustLetThrough(t rapid.TB, cfg config.Config, some []config.Service, filter rules.Table) {
	t.Helper()
	owners := ownersOf(servicesOf(cfg, filter.Family))
	for packet := range leaving(some, filter.Family) {
		outcomes, err := trace.Walk(filter, rules.Forward, packet)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.ContainsFunc(owners.of(packet.OriginalAddress), func(s config.Service) bool {
			return s.Forward == config.Accept && askedFor(s, s.Backends, packet, false)
		})
		switch {
		case !want && len(outcomes) == 0:
		case want && len(outcomes) == 1 && outcomes[0].Target == rules.Target{Kind: rules.Accept} && isOne(outcomes[0].Share):
		default:
			t.Fatalf("%+v meets %v in FORWARD; want it accepted: %v", packet, outcomes, want)
		}
	}
}

// askedFor tells whether a packet's connection may be one of the service's with one of
// these backends: by what it had asked for, and with "*" also by where it goes. To backends
// without a port that is any port, or one of those that the service listens on.
func askedFor(service config.Service, backends []config.Backend, packet rules.Packet, anyPort bool) bool {
	if !packet.OriginalAddress.IsValid() || !slices.Contains(service.Protocols, config.Protocol(packet.Protocol)) {
		return false
	}
	return slices.ContainsFunc(service.Listen, func(listen config.Listen) bool {
		if packet.OriginalPort < listen.Ports.First || listen.Ports.Last < packet.OriginalPort {
			return false
		}
		toBackend := func(b config.Backend) bool {
			first, last := b.Port, b.Port
			switch {
			case b.Port != 0:
			case anyPort:
				last = math.MaxUint16
			default:
				first, last = listen.Ports.First, listen.Ports.Last
			}
			return b.Addr == packet.Destination && first <= packet.Port && packet.Port <= last
		}
		return listen.Addr == packet.OriginalAddress || listen.Any() && slices.ContainsFunc(backends, toBackend)
	})
}
