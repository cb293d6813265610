// Package configtest makes up checked configs for tests of the rooms that take
// one, so that a promise made for every config can be tried on many.
//
// It knows nothing of iptables.
package configtest

import (
	"math"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"natspread/internal/config"
)

// Config generates what config.Parse can return, of both families and with up to
// six services: see Text for the file.
func Config() *rapid.Generator[config.Config] {
	return rapid.Custom(func(t *rapid.T) config.Config {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_-]{0,31}`), 1, 6, rapid.ID).Draw(t, "names")
		var cfg config.Config
		for _, name := range names {
			cfg.Services = append(cfg.Services, service(t, name, cfg.Services))
		}
		return cfg
	})
}

// service generates a service that goes with the others.
func service(t *rapid.T, name string, others []config.Service) config.Service {
	six := rapid.Bool().Draw(t, "IPv6")
	made := config.Service{
		Name:      name,
		Protocols: protocols(t),
		Algorithm: rapid.SampledFrom([]config.Algorithm{config.Random, config.RoundRobin, config.Source, config.Flow}).Draw(t, "algorithm"),
		Local:     rapid.Bool().Draw(t, "local"),
		OnRemove:  rapid.SampledFrom([]config.OnRemove{config.Drain, config.Reset}).Draw(t, "on_remove"),
		SNATPorts: config.KeepPorts,
		Forward:   rapid.SampledFrom([]config.Forward{config.Leave, config.Accept}).Draw(t, "forward"),
	}
	made.Interfaces = interfaces(t)
	made.ClampMSS = clampMSS(t, made.Protocols)
	made.Backends = backends(t, six)
	takesOver := rapid.IntRange(0, 3).Draw(t, "takeover") == 0
	maps := !takesOver && made.Algorithm != config.RoundRobin && rapid.IntRange(0, 3).Draw(t, "maps ports") == 0
	if maps {
		made.Backends = withoutPorts(made.Backends)
	}
	if takesOver {
		forTakeover(&made)
	}
	weigh(t, made)
	if rapid.Bool().Draw(t, "checked") {
		backUp(t, made)
		check(t, &made)
	}
	asked := own(t, &made)
	if choices := slotCounts(made); len(choices) > 0 {
		if rapid.IntRange(0, 7).Draw(t, "few slots") > 0 { // a rule each
			choices = choices[:min(2, len(choices))]
		}
		made.Slots = rapid.SampledFrom(choices).Draw(t, "slots")
		made.SourcePrefix = sourcePrefix(t, made)
	}
	gate(t, &made, six)
	made.Listen = listens(t, made, others, asked, !maps)
	together(&made, others)
	if maps {
		made.Listen = mapped(t, made.Listen)
	}
	if !takesOver && !maps && rapid.IntRange(0, 2).Draw(t, "shifts") == 0 {
		shift(&made, others)
	}
	if takesOver && takeOver(&made, others) {
		made.Hairpin = served(made, hairpins(t, six))
		return made
	}
	made.SNAT.Mode = rapid.SampledFrom([]config.SNATMode{config.Masquerade, config.Address, config.None}).Draw(t, "snat")
	switch made.SNAT.Mode {
	case config.Address:
		made.SNAT = sourcePool(t, six)
	case config.None:
		made.Hairpin = served(made, hairpins(t, six))
	}
	if (made.SNAT.Mode != config.None || len(made.Hairpin) > 0) && rapid.IntRange(0, 3).Draw(t, "random ports") == 0 {
		made.SNATPorts = config.RandomPorts
	}
	return made
}

// protocols generates one to three protocols in any order.
func protocols(t *rapid.T) []config.Protocol {
	all := []config.Protocol{config.TCP, config.UDP, config.SCTP}
	n := rapid.IntRange(1, len(all)).Draw(t, "protocols")
	return rapid.Permutation(all).Draw(t, "order")[:n]
}

// clampMSS generates what becomes of segments; nothing without TCP.
func clampMSS(t *rapid.T, protocols []config.Protocol) config.ClampMSS {
	if !slices.Contains(protocols, config.TCP) || !rapid.Bool().Draw(t, "clamp_mss") {
		return config.ClampMSS{}
	}
	return config.ClampMSS{On: true, Segment: rapid.OneOf(rapid.Just(0), rapid.IntRange(config.MinSegment, config.MaxSegment)).Draw(t, "segment")}
}

// use is what an address is for. Addresses for one use are never those for
// another; a backend that is its own service has one of numbered.
type use byte

// The uses, each the first byte of a few IPv4 addresses.
const (
	listening use = 192
	serving   use = 10
	sources   use = 172
	clients   use = 198
)

// address generates an address for a use, in IPv6 also out of ::/96, which is
// printed in a way of its own.
func address(t *rapid.T, six bool, for_ use) netip.Addr {
	low := rapid.Uint16().Draw(t, "address")
	four := [4]byte{byte(for_), 0, byte(low >> 8), byte(low)}
	if !six {
		return netip.AddrFrom4(four)
	}
	raw := [16]byte{12: four[0], 14: four[2], 15: four[3]}
	if rapid.Bool().Draw(t, "outside ::/96") {
		raw[0], raw[1] = 0x20, 0x01
	}
	return netip.AddrFrom16(raw)
}

// port generates a port, often a common one so that services meet.
func port(t *rapid.T) uint16 {
	return rapid.OneOf(rapid.SampledFrom([]uint16{1, 80, 81, 443, 65535}), rapid.Uint16Range(1, math.MaxUint16)).Draw(t, "port")
}

// backends generates backends that differ, with ports and without.
func backends(t *rapid.T, six bool) []config.Backend {
	var all []config.Backend
	for range rapid.OneOf(rapid.IntRange(1, 4), rapid.IntRange(1, 40)).Draw(t, "backends") {
		made := config.Backend{Addr: address(t, six, serving)}
		if rapid.Bool().Draw(t, "with port") {
			made.Port = port(t)
		}
		if !slices.ContainsFunc(all, func(b config.Backend) bool { return sameBackend(b, made) }) {
			all = append(all, made)
		}
	}
	return all
}

// withoutPorts returns backends without their ports, each address once.
func withoutPorts(backends []config.Backend) []config.Backend {
	var all []config.Backend
	for _, b := range backends {
		b.Port = 0
		if !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

// mapped returns those listen addresses that are the first one's, some with a range of ports, and maps
// them.
func mapped(t *rapid.T, listens []config.Listen) []config.Listen {
	var all []config.Listen
	for _, l := range listens {
		if l.Addr == listens[0].Addr && len(all) < 16 {
			if rapid.Bool().Draw(t, "maps one port") {
				l.Ports.Last = l.Ports.First
			}
			l.To = min(port(t), math.MaxUint16-(l.Ports.Last-l.Ports.First))
			all = append(all, l)
		}
	}
	return all
}

// sameBackend tells whether two backends may be one: without a port a backend is
// whatever port the client asked for.
func sameBackend(a, b config.Backend) bool {
	return a.Addr == b.Addr && (a.Port == b.Port || a.Port == 0 || b.Port == 0)
}

// weigh generates weights, for round-robin such that the period stays short.
func weigh(t *rapid.T, service config.Service) {
	weight := rapid.OneOf(rapid.Just(1), rapid.IntRange(0, 9), rapid.IntRange(0, config.MaxWeight))
	factor := 1
	if service.Algorithm == config.RoundRobin {
		weight = rapid.OneOf(rapid.Just(1), rapid.IntRange(0, 20))
		factor = rapid.IntRange(1, config.MaxWeight/20).Draw(t, "factor")
	}
	for i := range service.Backends {
		service.Backends[i].Weight = weight.Draw(t, "weight") * factor
		service.Backends[i].Drain = rapid.IntRange(0, 7).Draw(t, "drain") == 0
	}
}

// listens generates listen addresses that neither each other nor another service claims, unless the
// service joins another one there; some given ones are among them.
func listens(t *rapid.T, made config.Service, others []config.Service, asked []config.Listen, joins bool) []config.Listen {
	add := func(l config.Listen) {
		free := func(other config.Service) bool { return !claims(other, made, l) || joins && mayJoin(made, other, l) }
		if free(made) && !slices.ContainsFunc(others, func(o config.Service) bool { return !free(o) }) {
			made.Listen = append(made.Listen, l)
		}
	}
	for _, l := range asked {
		add(l)
	}
	for range rapid.IntRange(1-len(asked), 4).Draw(t, "listen") {
		add(listen(t, made.Is6()))
	}
	for _, other := range others {
		if made.Is6() == other.Is6() && made.Apart(other.Audience) && rapid.Bool().Draw(t, "together") {
			theirs := rapid.SampledFrom(other.Listen).Draw(t, "their listen address")
			add(config.Listen{Addr: theirs.Addr, Ports: theirs.Ports})
		}
	}
	// Where all that was drawn is taken some other port is free: all services
	// together claim a few thousand.
	for number := uint16(1); len(made.Listen) == 0; number++ {
		add(config.Listen{Addr: numbered(made.Is6(), 0), Ports: config.Ports{First: number, Last: number}})
	}
	return made.Listen
}

// listen generates a listen address: few addresses, so that services meet.
func listen(t *rapid.T, six bool) config.Listen {
	var made config.Listen
	if !rapid.Bool().Draw(t, "any") {
		made.Addr = numbered(six, rapid.ByteRange(0, 3).Draw(t, "listen address"))
	}
	made.Ports.First = port(t)
	made.Ports.Last = made.Ports.First
	if rapid.Bool().Draw(t, "range") {
		width := rapid.Uint16Range(0, 300).Draw(t, "width")
		made.Ports.Last += min(width, math.MaxUint16-made.Ports.First)
	}
	return made
}

// numbered returns the listen address of a number.
func numbered(six bool, n byte) netip.Addr {
	if six {
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 12: byte(listening), 15: n})
	}
	return netip.AddrFrom4([4]byte{byte(listening), 0, 2, n})
}

// claims tells whether a service takes any of the packets that another wants.
func claims(service, wants config.Service, l config.Listen) bool {
	shared := func(p config.Protocol) bool { return slices.Contains(service.Protocols, p) }
	if service.Is6() != wants.Is6() || !slices.ContainsFunc(wants.Protocols, shared) {
		return false
	}
	return slices.ContainsFunc(service.Listen, func(has config.Listen) bool {
		return (has.Any() || l.Any() || has.Addr == l.Addr) && has.Ports.Overlaps(l.Ports)
	})
}

// hairpins generates subnets that differ.
func hairpins(t *rapid.T, six bool) []netip.Prefix {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) netip.Prefix {
		client := address(t, six, clients)
		return netip.PrefixFrom(client, rapid.IntRange(1, client.BitLen()).Draw(t, "bits")).Masked()
	}), 0, 3, rapid.ID).Draw(t, "hairpin")
}
