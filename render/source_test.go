package render

import (
	"math"
	"math/big"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/subnet"
)

// mustRewriteSources sends translated packets through POSTROUTING and fails unless each
// gets the source that its service's snat says.
func mustRewriteSources(t rapid.TB, owners owners, packets map[rules.Packet]bool, table rules.Table) {
	t.Helper()
	for packet := range packets {
		outcomes, err := walkTo(table, rules.Postrouting, packet)
		if err != nil {
			t.Fatal(err)
		}
		want, known := owners.rewriting(packet)
		if !known {
			continue
		}
		total := new(big.Rat)
		for i, outcome := range outcomes {
			total.Add(total, outcome.Share)
			if len(want) == len(outcomes) && outcome.Target == want[i].Target {
				off := new(big.Rat).Sub(outcome.Share, want[i].Share)
				if off.Abs(off).Cmp(step) <= 0 {
					continue
				}
			}
			t.Fatalf("%+v meets %v; want %v", packet, outcomes, want)
		}
		if len(want) != len(outcomes) || len(want) > 0 && !isOne(total) {
			t.Fatalf("%+v meets %v; want %v", packet, outcomes, want)
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
	for _, hairpin := range service.Hairpin {
		last := subnet.Last(hairpin)
		all = append(all, hairpin.Addr(), hairpin.Addr().Prev(), last, last.Next())
	}
	return slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.IsValid() })
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
	if i := slices.IndexFunc(service.Backends, config.Backend.Drained); i >= 0 {
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
					at := listen.Answers(backend)
					packet := rules.Packet{Protocol: protocol, Destination: backend.Addr, Port: at.First, OriginalAddress: asked, OriginalPort: port}
					if at.First != at.Last {
						packet.Port += port - listen.Ports.First
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

// rewriting returns what a packet's source becomes, by what the configs say, in the order of the
// file; nothing of a packet that is nobody's. It is not known of what goes to a backend of nobody,
// and asked for an address where several services listen.
func (o owners) rewriting(packet rules.Packet) (ends []end, known bool) {
	by := o.first(packet.OriginalAddress, func(o *owner) bool { return o.translates(packet) })
	if by == nil {
		return nil, true
	}
	other := o.first(packet.OriginalAddress, func(o *owner) bool { return o.Name != by.Name && o.translates(packet) })
	if other != nil {
		by = o.first(packet.OriginalAddress, func(o *owner) bool { return o.translates(packet) && o.answersAsked(packet) })
	}
	if by == nil {
		return nil, false
	}
	random := by.SNATPorts == config.RandomPorts
	switch {
	case by.SNAT.Mode == config.Address:
		all := by.SNAT.Addresses()
		for _, sources := range by.SNAT.Spread() {
			target := rules.Target{Kind: rules.SNAT, Address: sources.First, Random: random}
			if sources.Last != sources.First {
				target.Last = sources.Last
			}
			ends = append(ends, end{target, big.NewRat(int64(len(sources.All())), int64(len(all)))})
		}
		return ends, true
	case by.SNAT.Mode == config.None && !slices.ContainsFunc(by.Hairpin, func(p netip.Prefix) bool { return p.Contains(packet.Source) }):
		return []end{{rules.Target{Kind: rules.Accept}, big.NewRat(1, 1)}}, true
	}
	return []end{{rules.Target{Kind: rules.Masquerade, Random: random}, big.NewRat(1, 1)}}, true
}

// answersAsked tells whether a packet goes to a backend of the service that answers there for what
// was asked.
func (o *owner) answersAsked(packet rules.Packet) bool {
	return slices.ContainsFunc(o.Listen, func(l config.Listen) bool {
		return (l.Any() || l.Addr == packet.OriginalAddress) && l.Ports.Contains(packet.OriginalPort) && slices.ContainsFunc(o.Backends, func(b config.Backend) bool {
			return b.Addr == packet.Destination && l.Answers(b).Contains(packet.Port)
		})
	})
}

// translates tells whether a packet's connection may be a new one of the service's, or one that is
// taken over.
func (o *owner) translates(packet rules.Packet) bool {
	return (len(o.active) > 0 || keepsAny(o.Service)) && o.askedFor(o.active, packet, true)
}

// mustLetThrough sends the same packets through FORWARD and fails unless those, and only
// those, are accepted whose service wants that: also when every backend is drained.
func mustLetThrough(t rapid.TB, owners owners, packets map[rules.Packet]bool, filter rules.Table) {
	t.Helper()
	for packet := range packets {
		mustAccept(t, filter, packet, owners.first(packet.OriginalAddress, func(o *owner) bool {
			return o.Forward == config.Accept && o.askedFor(o.Backends, packet, false)
		}) != nil)
	}
}

// askedFor tells whether a packet's connection may be one of the service's with one of
// these backends: by what it had asked for, and with "*", and for FORWARD, also by where it
// goes. To backends without a port that is any port where its source is rewritten, else one
// of those that the service listens on.
func (o *owner) askedFor(backends []config.Backend, packet rules.Packet, rewritten bool) bool {
	if !packet.OriginalAddress.IsValid() || !slices.Contains(o.Protocols, config.Protocol(packet.Protocol)) {
		return false
	}
	return slices.ContainsFunc(o.Listen, func(listen config.Listen) bool {
		if packet.OriginalPort < listen.Ports.First || listen.Ports.Last < packet.OriginalPort {
			return false
		}
		toBackend := func(b config.Backend) bool {
			at := listen.Answers(b)
			if kept := b.Port+listen.To == 0 || at.First != at.Last && at == listen.Ports; kept && rewritten && len(o.together[listenPlace{listen.String(), packet.Protocol}]) == 0 {
				at = config.Ports{Last: math.MaxUint16} // also what no packet has
			}
			return b.Addr == packet.Destination && at.Contains(packet.Port)
		}
		return listen.Addr == packet.OriginalAddress && (rewritten || o.answers(packet)) || listen.Any() && slices.ContainsFunc(backends, toBackend)
	})
}

// answers tells whether a packet goes to a backend of the service, at a port where that
// answers: one without a port at any that clients may ask for at an address.
func (o *owner) answers(packet rules.Packet) bool {
	return slices.ContainsFunc(o.Listen, func(l config.Listen) bool {
		return !l.Any() && slices.ContainsFunc(o.Backends, func(b config.Backend) bool {
			return b.Addr == packet.Destination && l.Answers(b).Contains(packet.Port)
		})
	})
}

// mustLetRelated sends what a helper expects of some services through FORWARD: it is accepted
// to and from the backends of those that want that, and nobody else.
func mustLetRelated(t rapid.TB, services, some []config.Service, filter rules.Table) {
	t.Helper()
	known := map[netip.Addr]bool{}
	for _, service := range services {
		for _, backend := range service.Backends {
			known[backend.Addr] = known[backend.Addr] || service.Forward == config.Accept
		}
	}
	for _, service := range some {
		for _, end := range []netip.Addr{service.Backends[0].Addr, service.Backends[len(service.Backends)-1].Addr, service.Backends[0].Addr.Prev()} {
			client := stranger(rules.FamilyOf(end))
			to := rules.Packet{Protocol: "tcp", Source: client, Destination: end, Port: 30000, OriginalAddress: client.Next(), OriginalPort: 30000, Expected: true}
			from := rules.Packet{Protocol: "tcp", Source: end, Destination: client, Port: 30000, Expected: true, SourceTranslated: true}
			for _, packet := range []rules.Packet{to, from} {
				mustAccept(t, filter, packet, known[end])
				packet.Expected = false
				mustAccept(t, filter, packet, false)
				packet.Expected, packet.OriginalAddress, packet.SourceTranslated = true, netip.Addr{}, false
				mustAccept(t, filter, packet, false)
			}
		}
	}
}

// mustAccept fails unless FORWARD accepts a packet, or leaves it alone.
func mustAccept(t rapid.TB, filter rules.Table, packet rules.Packet, want bool) {
	t.Helper()
	outcomes, err := walkTo(filter, rules.Forward, packet)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !want && len(outcomes) == 0:
	case want && len(outcomes) == 1 && outcomes[0].Target == rules.Target{Kind: rules.Accept} && isOne(outcomes[0].Share):
	default:
		t.Fatalf("%+v meets %v in FORWARD; want it accepted: %v", packet, outcomes, want)
	}
}
