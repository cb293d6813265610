package packetpath

import "net/netip"

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
	ToHost                      bool           // the destination is the host's own; false is not known
	Six                         bool           // it is of IPv6
	KeepsSource                 bool           // natspread leaves the client's address as it is
}

// isReply tells whether it answers a packet of the client.
func (p *Packet) isReply() bool {
	for _, state := range p.States {
		if state == "ESTABLISHED" {
			return true
		}
	}
	return false
}

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
	ofClass   subject = iota // the interfaces, the protocol, the states: many packets have the same
	ofAddress                // an address or a port
)

// always is the condition with the same answer for every packet.
func always(a answer) condition { return condition{ask: func(*Packet) answer { return a }} }

// inverted returns the condition that is true where another is not.
func inverted(c condition) condition {
	return condition{func(p *Packet) answer { return c.ask(p).not() }, c.about}
}

// anyOf returns the condition that is true where one of some is.
func anyOf(conditions []condition) condition {
	result := condition{ask: func(p *Packet) answer {
		found := no
		for _, c := range conditions {
			found = max(found, c.ask(p))
		}
		return found
	}}
	for _, c := range conditions {
		result.about = max(result.about, c.about)
	}
	return result
}

// allOf returns the condition that is true where all of some are.
func allOf(conditions []condition) condition {
	result := condition{ask: func(p *Packet) answer {
		all := yes
		for _, c := range conditions {
			if all = all.and(c.ask(p)); all == no {
				return no
			}
		}
		return all
	}}
	for _, c := range conditions {
		result.about = max(result.about, c.about)
	}
	return result
}
