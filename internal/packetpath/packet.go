package packetpath

import (
	"net/netip"
	"slices"

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
	ToHost                      bool           // the destination is the host's own; false is not known
	Family                      rules.Family
	KeepsSource                 bool // natspread leaves the client's address as it is
}

// isReply tells whether it answers a packet of the client.
func (p *Packet) isReply() bool { return slices.Contains(p.States, "ESTABLISHED") }

// answer says whether a rule matches a packet of which not everything is known.
type answer uint8

// The answers.
const (
	no      answer = iota
	some           // those of some clients, or some of the packets: as it is with a ban
	perhaps        // nobody here can tell
	yes
)

// and returns yes only when both are yes.
func (a answer) and(b answer) answer { return min(a, b) }

// not returns the answer to the inverted question.
func (a answer) not() answer {
	switch a {
	case no:
		return yes
	case yes:
		return no
	}
	return a
}

// answerOf turns a fact into an answer.
func answerOf(fact bool) answer {
	if fact {
		return yes
	}
	return no
}

// condition is one that a rule has.
type condition struct {
	ask   func(*Packet) answer
	about subject
}

// subject is which part of a packet an answer depends on. Packets that are alike in all
// other parts get one answer.
type subject uint8

// The subjects.
const (
	ofClass   subject = iota // what is no address and no port: many packets have the same
	ofAddress                // an address or a port
)

// always is the condition with the same answer for every packet.
func always(a answer) condition { return condition{ask: func(*Packet) answer { return a }} }

// inverted returns the condition that is true where another is not.
func inverted(c condition) condition {
	return condition{func(p *Packet) answer { return c.ask(p).not() }, c.about}
}

// conditions are some of them.
type conditions []condition

// all asks for all of them at once.
func (c conditions) all(p *Packet) answer {
	all := yes
	for _, one := range c {
		if all = all.and(one.ask(p)); all == no {
			return no
		}
	}
	return all
}

// any asks for at least one of them.
func (c conditions) any(p *Packet) answer {
	found := no
	for _, one := range c {
		found = max(found, one.ask(p))
	}
	return found
}

// about returns what their answers depend on.
func (c conditions) about() subject {
	about := ofClass
	for _, one := range c {
		about = max(about, one.about)
	}
	return about
}
