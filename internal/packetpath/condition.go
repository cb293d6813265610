package packetpath

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

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

// inRanges asks whether an address is in one of some ranges.
func inRanges(ranges addresses, of, otherEnd field[netip.Addr]) condition {
	return condition{about: ofAddress, ask: func(p *Packet) answer { return ranges.has(of(p), otherEnd(p)) }}
}

// inPorts asks whether a port is in one of some ranges.
func inPorts(ranges ports, of field[uint16]) condition {
	return condition{about: ofAddress, ask: func(p *Packet) answer { return ranges.has(of(p)) }}
}

// ofProtocol asks for packets of a protocol, by its name or number.
func ofProtocol(protocol string) condition {
	return condition{ask: func(p *Packet) answer { return answerOf(isProtocol(protocol, p)) }}
}

// isProtocol tells whether a packet is of a protocol, by its name or number.
func isProtocol(value string, p *Packet) bool {
	number, err := strconv.ParseUint(value, 10, 8)
	return value == p.Protocol || err == nil && uint8(number) == rules.ProtocolNumber(p.Protocol)
}

// tcpFlags asks for the flags of a TCP packet: those that begin a connection, and of a reply
// those that answer it. What another balancer had is in the middle of one.
func tcpFlags(mask, set []string) condition {
	return condition{ask: func(p *Packet) answer {
		flags := []string{"SYN"}
		switch {
		case p.Midstream:
			flags = []string{"ACK"}
		case p.isReply():
			flags = append(flags, "ACK")
		}
		for _, flag := range []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"} {
			asked := slices.Contains(mask, flag) || slices.Contains(mask, "ALL")
			wanted := slices.Contains(set, flag) || slices.Contains(set, "ALL")
			if asked && wanted != slices.Contains(flags, flag) {
				return no
			}
		}
		return yes
	}}
}

// hasWord asks for a word, whose * at the end stands for any rest.
func hasWord(words func(*Packet) ([]string, bool), wanted string) condition {
	return condition{ask: func(p *Packet) answer {
		has, known := words(p)
		if !known {
			return perhaps
		}
		prefix, any := strings.CutSuffix(wanted, "*")
		return answerOf(slices.ContainsFunc(has, func(word string) bool { return word == wanted || any && strings.HasPrefix(word, prefix) }))
	}}
}
