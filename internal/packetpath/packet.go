package packetpath

import (
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/rules"
)

// Packet is a packet with what conntrack knows about its connection. What is not known has
// its zero value.
type Packet struct {
	In, Out                     string // interfaces
	Source, Destination         netip.Addr
	Protocol                    string
	SourcePort, DestinationPort uint16
	States                      []string       // those of conntrack that it has: NEW, DNAT
	OrigDst                     netip.AddrPort // what the client sent it to
	ReplySrc                    netip.AddrPort // the backend
	OrigSrc                     netip.AddrPort // the backend, where that began it in place of a client
	Midstream                   bool           // of a TCP connection that another balancer had, and that conntrack does not know here
	ToHost                      bool           // the destination is the host's own; false is not known
	Family                      rules.Family
	KeepsSource                 bool // natspread leaves the client's address as it is
}

// Begun takes the packet of a client that is on its way to a backend. It returns two packets of a
// connection that another balancer had, and of which this host sees one from the backend first: that
// packet, and the client's answer.
func (p Packet) Begun() (first, answer Packet) {
	one := Packet{Protocol: p.Protocol, OrigSrc: p.ReplySrc, Family: p.Family, Midstream: p.Protocol == "tcp"}
	first, answer = one, one
	first.In, first.Out, first.States = p.Out, p.In, []string{"NEW"}
	first.Source, first.SourcePort = p.ReplySrc.Addr(), p.ReplySrc.Port()
	answer.In, answer.Out, answer.States = p.In, p.Out, []string{"ESTABLISHED", "SNAT"}
	answer.Destination, answer.DestinationPort = p.Destination, p.DestinationPort
	return first, answer
}

// Resumed returns the packet of a client as the first one that this host sees of a connection that
// another balancer had. middle is false where such a packet looks like one that begins a connection.
func (p Packet) Resumed() (resumed Packet, middle bool) {
	p.Midstream = p.Protocol == "tcp"
	return p, p.Midstream
}

// isReply tells whether it answers a packet of the client.
func (p *Packet) isReply() bool { return slices.Contains(p.States, "ESTABLISHED") }

// field is a part of a packet.
type field[T any] func(*Packet) T

// sourceOf returns where a packet comes from.
func sourceOf(p *Packet) netip.Addr { return p.Source }

// destinationOf returns where a packet goes to.
func destinationOf(p *Packet) netip.Addr { return p.Destination }

// origDstOf returns where the client sent the first packet to.
func origDstOf(p *Packet) netip.Addr { return p.OrigDst.Addr() }

// replySrcOf returns where the replies come from.
func replySrcOf(p *Packet) netip.Addr { return p.ReplySrc.Addr() }

// origSrcOf returns who began the connection, if that is a backend.
func origSrcOf(p *Packet) netip.Addr { return p.OrigSrc.Addr() }

// sourcePortOf returns the port that a packet comes from.
func sourcePortOf(p *Packet) uint16 { return p.SourcePort }

// destinationPortOf returns the port that a packet goes to.
func destinationPortOf(p *Packet) uint16 { return p.DestinationPort }

// origPortOf returns the port that the client sent the first packet to.
func origPortOf(p *Packet) uint16 { return p.OrigDst.Port() }

// replyPortOf returns the port that the replies come from.
func replyPortOf(p *Packet) uint16 { return p.ReplySrc.Port() }

// origSourcePortOf returns the port of who began the connection, if that is a backend.
func origSourcePortOf(p *Packet) uint16 { return p.OrigSrc.Port() }

// typeOf returns the type of a packet's destination.
func typeOf(p *Packet) ([]string, bool) {
	switch {
	case p.ToHost:
		return []string{"local"}, true
	case slices.Contains(p.States, "DNAT"):
		return []string{"unicast"}, true
	}
	return nil, false
}

// lowStates returns the states of a packet in the words of nft: those of iptables in small letters.
func lowStates(p *Packet) ([]string, bool) {
	words := make([]string, len(p.States))
	for i, state := range p.States {
		words[i] = strings.ToLower(state)
	}
	return words, true
}
