package doctor

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/packetpath"
	"natspread/internal/rules"
)

// Way is what the kernel runs on the packets of a balancer beside natspread's rules: before
// them, after them and instead of them.
type Way struct {
	Found     []Finding // what keeps connections from passing, or may
	Unreached []Finding // rules of others that natspread's come before
}

// Way finds what drops the packets of a balancer, takes them, or keeps them from being
// translated. It is the part of Examine that is worth a look after each change, because
// everything else looks well on a host where something does.
func (h Host) Way(b Balancer) Way {
	read, err := h.readNetwork()
	if err != nil {
		return Way{Found: []Finding{cannotTell(whatOthersDo, err)}}
	}
	return examination{Host: h, Balancer: b, network: read}.way()
}

// whatOthersDo is what is not known where rules could not be read.
const whatOthersDo = "what other rules do with connections"

// way follows packets of each family.
func (e examination) way() Way {
	var way Way
	if e.Unread != nil {
		way.Found = append(way.Found, cannotTell(whatOthersDo, e.Unread))
	}
	for _, family := range e.families() {
		path := packetpath.New(packetpath.Read{Family: family, Variant: e.Variant, Hooks: e.Hooks})
		if path.Alone() {
			continue
		}
		found := finder{examination: e, family: family, travel: e.travellers(family, path.WatchesOut()), said: map[string]bool{}}
		found.follow(path)
		way.Found = append(way.Found, found.found...)
		way.Unreached = append(way.Unreached, found.behind...)
	}
	way.Found = once(way.Found)
	return way
}

// once returns findings without those whose words were there before, as those of a table of
// both families.
func once(found []Finding) []Finding {
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(f Finding) bool {
		again := seen[f.What]
		seen[f.What] = true
		return again
	})
}

// travel is the packets of one family's services on one part of their way, each with the
// service that it is of.
type travel struct {
	packets []packetpath.Packet
	of      []*config.Service
}

// add adds a packet.
func (t *travel) add(p packetpath.Packet, service *config.Service) {
	t.packets = append(t.packets, p)
	t.of = append(t.of, service)
}

// name returns what a packet is for: the backend, or the listen address.
func (t *travel) name(i int) string {
	p := t.packets[i]
	for _, backend := range []netip.AddrPort{p.ReplySrc, p.OrigSrc} {
		if backend.IsValid() {
			return backend.String()
		}
	}
	for _, listen := range t.of[i].Listen {
		if listen.Addr == p.Destination && listen.Ports.Contains(p.DestinationPort) {
			return listen.String()
		}
	}
	return ""
}

// travellers are the packets of one family's services: of clients, of the host itself, to the
// backends, and back; and those of connections that another balancer had.
type travellers struct {
	arriving, leaving, passing, passingOut, returning, delivered travel
	takenOver
}

// grow makes room for the packets of services, as these may be many.
func (t *travellers) grow(services []config.Service) {
	listens, backends := 0, 0
	for _, service := range services {
		n := len(service.Listen) * len(service.Protocols)
		listens, backends = listens+n, backends+n*len(service.Backends)
	}
	for one, n := range map[*travel]int{&t.arriving: listens, &t.leaving: listens, &t.passing: backends, &t.returning: backends} {
		one.packets, one.of = slices.Grow(one.packets, n), slices.Grow(one.of, n)
	}
}

// travellers makes those packets: for a range of ports, to its first port and to its last. To a
// backend that is the host itself nothing is forwarded: it is delivered. out asks for what the host itself
// sends to backends, too.
func (e examination) travellers(family rules.Family, out bool) travellers {
	var all travellers
	all.grow(e.Services)
	for i := range e.Services {
		service := &e.Services[i]
		if familyOf(*service) != family {
			continue
		}
		for _, listen := range service.Listen {
			in := e.comesIn(*service, listen)
			_, held := e.network.Holder(listen.Addr)
			for _, protocol := range service.Protocols {
				for _, port := range slices.Compact([]uint16{listen.Ports.First, listen.Ports.Last}) {
					one := packetpath.Packet{
						In: in, Protocol: string(protocol), Destination: listen.Addr, DestinationPort: port,
						States: newStates, ToHost: held || listen.Any(), Family: family,
					}
					all.arriving.add(one, service)
					if resumed, middle := one.Resumed(); service.Takeover && middle {
						all.resumed.add(resumed, service)
					}
					if service.Local {
						one.In = ""
						all.leaving.add(one, service)
					}
					e.forwarded(&all, service, listen, port, protocol, in, out && service.Local)
				}
			}
		}
	}
	return all
}

// The states of packets, for all of them.
var (
	newStates        = []string{"NEW"}
	translatedStates = []string{"NEW", "DNAT"}
	answerStates     = []string{"ESTABLISHED", "DNAT"}
	hiddenStates     = []string{"ESTABLISHED", "DNAT", "SNAT"}
)

// forwarded adds what becomes of a packet to a listen address and port of a service: those to
// each backend, and the replies.
func (e examination) forwarded(all *travellers, service *config.Service, listen config.Listen, asked uint16, protocol config.Protocol, in string, out bool) {
	origDst := netip.AddrPortFrom(listen.Addr, asked)
	for _, backend := range service.Active() {
		to, err := e.network.RouteTo(backend.Addr)
		if err != nil {
			continue // the check of the routes says so
		}
		at := listen.Answers(backend)
		port := at.First
		if at.First != at.Last {
			port += asked - listen.Ports.First
		}
		request := packetpath.Packet{
			In: in, Out: to.Link, Protocol: string(protocol), Destination: backend.Addr, DestinationPort: port,
			States: translatedStates, OrigDst: origDst, ReplySrc: netip.AddrPortFrom(backend.Addr, port),
			Family: rules.FamilyOf(backend.Addr), KeepsSource: service.SNAT.Mode == config.None,
		}
		if to.Local {
			if request.ToHost = true; origDst == request.ReplySrc {
				request.States = newStates // it stays
			}
			all.delivered.add(request, service)
			continue
		}
		reply := packetpath.Packet{
			In: to.Link, Out: in, Protocol: string(protocol), Source: backend.Addr, SourcePort: port,
			States: hiddenStates, OrigDst: origDst, ReplySrc: request.ReplySrc, Family: request.Family,
		}
		if request.KeepsSource {
			reply.States = answerStates
		}
		all.passing.add(request, service)
		all.returning.add(reply, service)
		if service.Takeover {
			all.takenOver.add(service, request)
		}
		if out {
			request.In = ""
			all.passingOut.add(request, service)
		}
	}
}
