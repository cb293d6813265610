package rules

import (
	"net/netip"
	"strings"
)

// Matches tells whether a packet in a chain satisfies every condition but the
// statistic one, which no single packet can answer, and the one on its mark, which a rule
// before may have given it.
func (r Rule) Matches(p Packet) bool {
	return prefixHolds(r.Source, p.Source) &&
		prefixHolds(r.Destination, p.Destination) &&
		!(r.NotDestination.IsValid() && r.NotDestination.Contains(p.Destination)) &&
		(r.InInterface == "" || IsLink(r.InInterface, p.InInterface)) &&
		(r.Protocol == "" || r.Protocol == p.Protocol) &&
		r.SourcePorts.contains(p.SourcePort) &&
		r.DestinationPorts.contains(p.Port) &&
		(!r.Midstream || p.Midstream) &&
		!(r.Handshake && p.Midstream) &&
		(!r.LocalDestination || p.Local) &&
		(!r.Translated || p.OriginalAddress.IsValid()) &&
		(r.ConnectionProtocol == "" || r.ConnectionProtocol == p.Protocol) &&
		prefixHolds(r.OriginalSource, p.Source) &&
		prefixHolds(r.OriginalDestination, p.OriginalAddress) &&
		prefixHolds(r.ReplySource, p.Destination) &&
		r.OriginalSourcePorts.contains(p.SourcePort) &&
		r.OriginalPorts.contains(p.OriginalPort) &&
		r.ReplyPorts.contains(p.Port) &&
		(!r.Expected || p.Expected) &&
		(!r.SourceTranslated || p.SourceTranslated)
}

// Packet is the first packet of a connection that this host sees, as one built-in chain sees it.
type Packet struct {
	InInterface     string
	Protocol        string
	Source          netip.Addr
	Destination     netip.Addr
	Port            uint16
	Local           bool       // the destination is an address of this host
	OriginalAddress netip.Addr // the destination before DNAT; zero without one
	OriginalPort    uint16
	SourcePort      uint16 // 0 where it is not known: then no condition on it holds
	Midstream       bool   // of TCP: it begins nothing, another host has seen the ones before
	// Expected tells that a conntrack helper announced the connection, and SourceTranslated
	// that its source is rewritten: what a helper expects is translated as it announced it.
	Expected, SourceTranslated bool
}

// prefixHolds tells whether an address satisfies a condition on its prefix.
func prefixHolds(prefix netip.Prefix, address netip.Addr) bool {
	return !prefix.IsValid() || prefix.Contains(address)
}

// IsLink tells whether an interface is the one that a condition names. A + at the end of that one
// stands for any rest, or none.
func IsLink(named, link string) bool {
	if stem, pattern := strings.CutSuffix(named, "+"); pattern {
		return link != "" && strings.HasPrefix(link, stem)
	}
	return link == named
}
