// Package travel makes the packets of a balancer's services, one of each kind for each part of
// their way. What the kernel does with them, packetpath says; it reads no rule itself.
package travel

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/network"
	"natspread/internal/packetpath"
	"natspread/internal/rules"
)

// Packets are those of one family's services on one part of their way, each with the
// service that it is of.
type Packets struct {
	List []packetpath.Packet
	Of   []*config.Service
}

// add adds a packet.
func (t *Packets) add(p packetpath.Packet, service *config.Service) {
	t.List = append(t.List, p)
	t.Of = append(t.Of, service)
}

// Backend returns the backend that a packet goes to, or comes from; the zero AddrPort before it is translated.
func (t *Packets) Backend(i int) netip.AddrPort {
	if to := t.List[i].ReplySrc; to.IsValid() {
		return to
	}
	return t.List[i].OrigSrc
}

// Name returns what a packet is for: the backend, or the listen address.
func (t *Packets) Name(i int) string {
	p := t.List[i]
	if backend := t.Backend(i); backend.IsValid() {
		return backend.String()
	}
	for _, listen := range t.Of[i].Listen {
		if listen.Addr == p.Destination && listen.Ports.Contains(p.DestinationPort) {
			return listen.String()
		}
	}
	return ""
}

// All are the packets of one family's services.
type All struct {
	Arriving   Packets // of clients
	Leaving    Packets // of the host itself, before they are translated
	Passing    Packets // to backends
	PassingOut Packets // to backends, of the host itself
	Delivered  Packets // to backends that are the host itself
	Returning  Packets // of backends
	TakenOver
}

// Host is the balancer's host, as far as packets depend on it.
type Host struct {
	Network network.Network
	ComesIn func(config.Service, config.Listen) string // the interface by which clients come in; "" where it is not known
}

// grow makes room for the packets of services, as these may be many.
func (t *All) grow(services []config.Service) {
	listens, backends := 0, 0
	for _, service := range services {
		n := len(service.Listen) * len(service.Protocols)
		listens, backends = listens+n, backends+n*len(service.Backends)
	}
	for one, n := range map[*Packets]int{&t.Arriving: listens, &t.Leaving: listens, &t.Passing: backends, &t.Returning: backends} {
		one.List, one.Of = slices.Grow(one.List, n), slices.Grow(one.Of, n)
	}
}

// Of makes the packets of services of a family: for a range of ports, to its first port and to its last.
// To a backend that is the host itself nothing is forwarded: it is delivered. out asks for what the host
// itself sends to backends, too.
func (h Host) Of(services []config.Service, family rules.Family, out bool) All {
	var all All
	all.grow(services)
	for i := range services {
		service := &services[i]
		if rules.FamilyOf(service.Backends[0].Addr) != family {
			continue
		}
		for _, listen := range service.Listen {
			in := h.ComesIn(*service, listen)
			_, held := h.Network.Holder(listen.Addr)
			for _, protocol := range service.Protocols {
				for _, port := range slices.Compact([]uint16{listen.Ports.First, listen.Ports.Last}) {
					one := packetpath.Packet{
						In: in, Protocol: string(protocol), Destination: listen.Addr, DestinationPort: port,
						States: newStates, ToHost: held || listen.Any(), Family: family,
					}
					all.Arriving.add(one, service)
					if resumed, middle := one.Resumed(); service.Takeover && middle {
						all.Resumed.add(resumed, service)
					}
					if service.Local {
						one.In = ""
						all.Leaving.add(one, service)
					}
					h.forwarded(&all, service, listen, port, protocol, in, out && service.Local)
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
func (h Host) forwarded(all *All, service *config.Service, listen config.Listen, asked uint16, protocol config.Protocol, in string, out bool) {
	origDst := netip.AddrPortFrom(listen.Addr, asked)
	for _, backend := range service.Active() {
		to, err := h.Network.RouteTo(backend.Addr)
		if err != nil {
			continue // the check of the routes says so
		}
		at := listen.AnswersAt(backend, asked)
		request := packetpath.Packet{
			In: in, Out: to.Link, Protocol: string(protocol), Destination: backend.Addr, DestinationPort: at.Port(),
			States: translatedStates, OrigDst: origDst, ReplySrc: at,
			Family: rules.FamilyOf(backend.Addr), KeepsSource: service.SNAT.Mode == config.None,
		}
		if to.Local {
			if request.ToHost = true; origDst == request.ReplySrc {
				request.States = newStates // it stays
			}
			all.Delivered.add(request, service)
			continue
		}
		reply := packetpath.Packet{
			In: to.Link, Out: in, Protocol: string(protocol), Source: backend.Addr, SourcePort: at.Port(),
			States: hiddenStates, OrigDst: origDst, ReplySrc: request.ReplySrc, Family: request.Family,
		}
		if request.KeepsSource {
			reply.States = answerStates
		}
		all.Passing.add(request, service)
		all.Returning.add(reply, service)
		if service.Takeover {
			all.TakenOver.add(service, request)
		}
		if out {
			request.In = ""
			all.PassingOut.add(request, service)
		}
	}
}

// TakenOver are the packets that connections of another balancer begin with here: what backends
// say first, what clients answer, and what clients say first, before and after it is translated.
type TakenOver struct{ Begun, Answered, Resumed, Passed Packets }

// add adds those between clients and a backend, by the packet that begins a connection.
func (t *TakenOver) add(service *config.Service, request packetpath.Packet) {
	first, answer := request.Begun()
	t.Begun.add(first, service)
	t.Answered.add(answer, service)
	if request, middle := request.Resumed(); middle {
		t.Passed.add(request, service)
	}
}
