package render

import (
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/slots"
	"natspread/internal/subnet"
	"natspread/internal/trace"
)

// step is how far a share may be from what is wanted: the kernel's 2^-31.
var step = big.NewRat(1, rules.ProbabilityScale)

// mustSpread sends packets to and past what some of the owners listen on, and fails
// unless each goes to the backends of the service that claims it, at their shares, and
// all others are left alone.
func mustSpread(t rapid.TB, owners owners, some []config.Service, table rules.Table) {
	t.Helper()
	seen := map[string]bool{} // for all clients once a service: that takes each of its rules
	for packet := range probes(some, table.Family) {
		for _, builtIn := range []string{rules.Prerouting, rules.Output} {
			if builtIn == rules.Output {
				packet.InInterface = ""
			}
			outcomes, err := walkTo(table, builtIn, packet)
			if err != nil {
				t.Fatal(err)
			}
			owner := owners.of(builtIn, packet)
			if owner != nil {
				outcomes = atBackends(owner.Service, packet, outcomes)
			}
			switch {
			case owner != nil && builtIn == rules.Prerouting && !owner.Serves(packet.Source):
				mustTurnAway(t, owner.Service, packet, outcomes)
			case owner != nil:
				mustHaveShares(t, owner, outcomes, packet.Source)
				if whole := owner.Name + builtIn; owner.Algorithm == config.Source && !seen[whole] && (builtIn == rules.Output || !owner.Gated()) {
					seen[whole] = true
					mustHaveShares(t, owner, atBackends(owner.Service, packet, walkedByAll(t, table, builtIn, packet)), netip.Addr{})
				}
			case len(outcomes) != 0:
				t.Fatalf("%s: %+v, which is nobody's, goes to %v", builtIn, packet, outcomes)
			}
		}
	}
}

// owner is a service, and those of its backends that have a weight.
type owner struct {
	config.Service
	active   []config.Backend
	together together // where others listen, too
	owned    []int    // what slotOwners returned
}

// slotOwners returns whose the service's slots are. That takes long, and is asked for each packet.
func (o *owner) slotOwners() []int {
	if o.owned == nil {
		o.owned = o.Owners()
	}
	return o.owned
}

// owners are the services of one family by the addresses that they listen on.
type owners map[netip.Addr][]*owner

// ownersOf sorts services by their addresses.
func ownersOf(services []config.Service) owners {
	owners := owners{}
	together := togetherOf(services)
	for _, service := range services {
		active, _ := weighted(service)
		own := &owner{Service: service, active: active, together: together}
		seen := map[netip.Addr]bool{}
		for _, listen := range service.Listen {
			if !seen[listen.Addr] {
				owners[listen.Addr] = append(owners[listen.Addr], own)
			}
			seen[listen.Addr] = true
		}
	}
	return owners
}

// first returns the first service of those that listen on an address, or else on every
// one, that something is true of, or nil. Thousands may listen on every one, so nothing
// is copied.
func (o owners) first(address netip.Addr, is func(*owner) bool) *owner {
	for _, listening := range [][]*owner{o[address], o[netip.Addr{}]} {
		if i := slices.IndexFunc(listening, is); i >= 0 {
			return listening[i]
		}
	}
	return nil
}

// of returns the service that serves a packet, else one that listens for it, or nil.
func (o owners) of(builtIn string, packet rules.Packet) *owner {
	serving := o.first(packet.Destination, func(o *owner) bool {
		return o.claims(builtIn, packet) && (builtIn == rules.Output || o.Serves(packet.Source))
	})
	if serving != nil {
		return serving
	}
	return o.first(packet.Destination, func(o *owner) bool { return o.claims(builtIn, packet) })
}

// probes returns packets at the edges of what the services listen on, each once.
func probes(services []config.Service, family rules.Family) map[rules.Packet]bool {
	packets := map[rules.Packet]bool{}
	for _, service := range services {
		for _, listen := range service.Listen {
			for _, to := range destinations(listen, family) {
				for _, port := range edges(listen.Ports) {
					for _, protocol := range []string{"tcp", "udp", "sctp"} {
						to.Source, to.Port, to.Protocol = stranger(family), port, protocol
						if (listen.Any() || listen.Addr == to.Destination) && to.Local && listen.Ports.First == port {
							addClients(packets, service, to)
						}
						for _, to.InInterface = range append(links(service), "other0") {
							packets[to] = true
						}
					}
				}
			}
		}
	}
	return packets
}

// addClients adds a packet from each client at an edge of a subnet that the service names for those
// who may connect.
func addClients(packets map[rules.Packet]bool, service config.Service, packet rules.Packet) {
	for _, packet.InInterface = range links(service) {
		for _, clients := range slices.Concat(service.Allow, service.Deny) {
			last := subnet.Last(clients)
			for _, packet.Source = range []netip.Addr{clients.Addr(), clients.Addr().Prev(), last, last.Next()} {
				if packet.Source.IsValid() {
					packets[packet] = true
				}
			}
		}
	}
}

// links returns interfaces by which packets come in for a service: one for each that it names, and
// "" where it names none.
func links(service config.Service) []string {
	if len(service.Interfaces) == 0 {
		return []string{""}
	}
	var all []string
	for _, link := range service.Interfaces {
		if stem, pattern := strings.CutSuffix(link, "+"); pattern {
			link = stem + "7"
		}
		all = append(all, link)
	}
	return all
}

// servedClient returns a client that a service is for, if one is at an edge of its subnets, or a
// stranger.
func servedClient(service config.Service) (client netip.Addr, found bool) {
	packets := map[rules.Packet]bool{{Source: stranger(familyOf(service))}: true}
	addClients(packets, service, rules.Packet{})
	for packet := range packets {
		if service.Serves(packet.Source) {
			return packet.Source, true
		}
	}
	return netip.Addr{}, false
}

// mustTurnAway fails unless the outcomes of a client whom a service is not for are one refusal, or
// nothing at all where the host is to answer.
func mustTurnAway(t rapid.TB, service config.Service, packet rules.Packet, outcomes []end) {
	t.Helper()
	if service.Refused == config.ToHost && len(outcomes) == 0 {
		return
	}
	shares, total := shareByTarget(outcomes)
	if service.Refused == config.ToHost || len(shares) != 1 || outcomes[0].Target.Kind != rules.Refuse || !isOne(total) {
		t.Fatalf("service %s turns %+v away, but it meets %v", service.Name, packet, outcomes)
	}
}

// destinations returns packets to a listen address and those beside it, to another
// address of this host, to one of the host's own and to one elsewhere.
func destinations(listen config.Listen, family rules.Family) []rules.Packet {
	here, elsewhere, own := "192.0.0.250", "198.51.100.250", "127.8.9.10"
	if family == rules.IPv6 {
		here, elsewhere, own = "2001:db8::fffe", "2001:db8:fffe::1", "::1"
	}
	packets := []rules.Packet{
		{Destination: netip.MustParseAddr(here), Local: true},
		{Destination: netip.MustParseAddr(elsewhere)},
		{Destination: netip.MustParseAddr(own), Local: true},
	}
	if !listen.Any() {
		packets = append(packets, rules.Packet{Destination: listen.Addr, Local: true}, rules.Packet{Destination: listen.Addr},
			rules.Packet{Destination: listen.Addr.Prev()}, rules.Packet{Destination: listen.Addr.Next()})
	}
	return packets
}

// edges returns the first and the last port of a range and those beside it.
func edges(ports config.Ports) []uint16 {
	all := []uint16{ports.First, ports.Last, ports.First - 1, ports.Last + 1}
	return slices.DeleteFunc(all, func(port uint16) bool { return port == 0 })
}

// claims tells whether a packet is for a service, by what its config says.
func (o *owner) claims(builtIn string, packet rules.Packet) bool {
	if !slices.Contains(o.Protocols, config.Protocol(packet.Protocol)) {
		return false
	}
	if builtIn == rules.Output && !o.Local {
		return false
	}
	if builtIn == rules.Prerouting && !o.ComesBy(packet.InInterface) {
		return false
	}
	return slices.ContainsFunc(o.Listen, func(listen config.Listen) bool {
		if packet.Port < listen.Ports.First || packet.Port > listen.Ports.Last {
			return false
		}
		if listen.Any() {
			return packet.Local && (builtIn == rules.Prerouting || !packet.Destination.IsLoopback())
		}
		return packet.Destination == listen.Addr
	})
}

// walkedByAll returns the outcomes of a packet from any client.
func walkedByAll(t rapid.TB, table rules.Table, builtIn string, packet rules.Packet) []end {
	t.Helper()
	packet.Source = netip.Addr{}
	outcomes, err := walkTo(table, builtIn, packet)
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

// backendTarget is the target that stands for a backend of a service in tests, whatever was asked for.
func backendTarget(backend config.Backend) rules.Target { return dnat(config.Listen{}, backend) }

// landed returns the target that stands for a backend, where one leads what asks for a port of the
// service to the port at which that backend is to answer, and else the target itself. An accept
// leaves it where it was asked.
func landed(service config.Service, packet rules.Packet, target rules.Target) rules.Target {
	for _, listen := range service.Listen {
		if !listen.Ports.Contains(packet.Port) || !listen.Any() && listen.Addr != packet.Destination {
			continue
		}
		for _, backend := range service.Backends {
			at := listen.Answers(backend)
			wanted := at.First
			if at.First != at.Last {
				wanted += packet.Port - listen.Ports.First
			}
			stays := target.Kind == rules.Accept && backend.Addr == packet.Destination && wanted == packet.Port
			if stays || target.Kind == rules.DNAT && backend.Addr == target.Address && target.LandsAt(packet.Port) == wanted {
				return backendTarget(backend)
			}
		}
	}
	return target
}

// atBackends returns outcomes with the targets that stand for the service's backends.
func atBackends(service config.Service, packet rules.Packet, outcomes []end) []end {
	outcomes = slices.Clone(outcomes)
	for i := range outcomes {
		outcomes[i].Target = landed(service, packet, outcomes[i].Target)
	}
	return outcomes
}

// mustHaveShares fails unless the outcomes of a client, or of any, are the service's backends
// at their weights over the sum, exactly for round-robin, and leave nothing over.
func mustHaveShares(t rapid.TB, service *owner, outcomes []end, client netip.Addr) {
	t.Helper()
	active, sum := weighted(service.Service)
	shares, total := shareByTarget(outcomes)
	if len(active) == 0 {
		if len(shares) != 1 || outcomes[0].Target.Kind != rules.Refuse || !isOne(total) {
			t.Fatalf("service %s is drained, but a client meets %v", service.Name, outcomes)
		}
		return
	}
	if !isOne(total) {
		t.Fatalf("service %s: the shares sum to %s", service.Name, total.FloatString(12))
	}
	if service.Slots != 0 {
		mustOwnSlots(t, service, shares, client)
		return
	}
	if len(shares) != len(active) {
		t.Fatalf("service %s: %d targets for %d backends with a weight", service.Name, len(shares), len(active))
	}
	for _, backend := range active {
		got := shares[backendTarget(backend)]
		if got == nil {
			t.Fatalf("service %s: nothing goes to %s", service.Name, backend)
		}
		want := big.NewRat(int64(backend.Weight), int64(sum))
		off := new(big.Rat).Sub(got, want)
		if off.Abs(off); off.Cmp(step) > 0 || service.Algorithm == config.RoundRobin && off.Sign() != 0 {
			t.Fatalf("service %s: %s has %s in place of %s", service.Name, backend, got.FloatString(12), want.FloatString(12))
		}
	}
}

// end is one end of a packet's way, and the exact share of connections that meet it.
type end struct {
	Target rules.Target
	Share  *big.Rat
}

// walkTo sends the first packet of a connection through a table, and returns every end that
// it can meet, in the order of the rules; shares that sum to less than one mean that the
// rest leaves the table untouched.
func walkTo(table rules.Table, builtIn string, packet rules.Packet) ([]end, error) {
	path, err := trace.Trace(table, builtIn, packet)
	if err != nil {
		return nil, err
	}
	var ends []end
	for _, hop := range path.Ends() {
		ends = append(ends, end{hop.Rule.Target, hop.Taken.Share})
	}
	return ends, nil
}

// mustOwnSlots fails unless each backend has exactly its slots, or all of a known client if
// it owns that one's slot. While nobody is out, its slots are within one of its share. A backup
// that has joined owns what others left, which may be nothing.
func mustOwnSlots(t rapid.TB, service *owner, shares map[rules.Target]*big.Rat, client netip.Addr) {
	t.Helper()
	owners := service.slotOwners()
	if service.Algorithm == config.Source && client.IsValid() {
		owner := backendTarget(service.Backends[owners[slots.Of(client, service.SourcePrefix, service.Slots)]])
		if len(shares) != 1 || shares[owner] == nil {
			t.Fatalf("service %s: %v meets %v, not %v alone", service.Name, client, shares, owner)
		}
		return
	}
	owned := map[rules.Target]int64{}
	for _, owner := range owners {
		owned[backendTarget(service.Backends[owner])]++
	}
	active, sum := weighted(service.Service)
	active = slices.DeleteFunc(active, func(b config.Backend) bool { return b.Joined && owned[backendTarget(b)] == 0 })
	if len(owned) != len(shares) || len(active) != len(owned) {
		t.Fatalf("service %s: %d targets for %d owners and %d backends", service.Name, len(shares), len(owned), len(active))
	}
	slot := big.NewRat(1, int64(service.Slots))
	for _, backend := range active {
		got := shares[backendTarget(backend)]
		if want := big.NewRat(owned[backendTarget(backend)], int64(service.Slots)); got == nil || got.Cmp(want) != 0 {
			t.Fatalf("service %s: %s has %v in place of %v", service.Name, backend, got, want)
		}
		off := new(big.Rat).Sub(got, big.NewRat(int64(backend.Weight), int64(sum)))
		drained := slices.ContainsFunc(service.Backends, func(b config.Backend) bool { return b.Drain || b.Out || b.Joined })
		if off.Abs(off); off.Cmp(slot) >= 0 && !drained {
			t.Fatalf("service %s: %s is %v off its weight", service.Name, backend, off)
		}
	}
}

// shareByTarget sums up outcomes.
func shareByTarget(outcomes []end) (shares map[rules.Target]*big.Rat, total *big.Rat) {
	shares, total = map[rules.Target]*big.Rat{}, new(big.Rat)
	for _, outcome := range outcomes {
		total.Add(total, outcome.Share)
		if share, twice := shares[outcome.Target]; twice {
			shares[outcome.Target] = new(big.Rat).Add(share, outcome.Share)
		} else {
			shares[outcome.Target] = outcome.Share
		}
	}
	return shares, total
}

// isOne tells whether a share is everything.
func isOne(share *big.Rat) bool { return share.Cmp(big.NewRat(1, 1)) == 0 }
