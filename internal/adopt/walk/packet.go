package walk

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// Packet is the first packet of a connection, as a built-in chain sees it.
type Packet struct {
	In, Out           string     // interfaces; "" is one that no rule names, or for Out not known
	Source            netip.Addr // not valid is a client that no rule names
	Destination       netip.Addr
	Protocol          string
	Port              uint16         // of the destination
	Local             bool           // the destination is an address of the host
	Made              bool           // by this host itself
	Asked             netip.AddrPort // the destination before it was translated; not valid without that
	SourceIsRewritten bool           // a rule of POSTROUTING did so, or will
}

// answer says whether a rule asks for a packet.
type answer int

// The answers.
const (
	no answer = iota
	perhaps
	yes
)

// test is one condition of a rule.
type test func(*Packet) answer

// is turns a fact into an answer.
func is(fact bool) answer {
	if fact {
		return yes
	}
	return no
}

// inverted returns the test that holds where another does not.
func inverted(t test) test { return func(p *Packet) answer { return yes - t(p) } }

// meets returns the answer of all conditions together.
func (r *Rule) meets(p *Packet) answer {
	all := yes
	for _, one := range r.tests {
		if all = min(all, one(p)); all == no {
			return no
		}
	}
	if len(r.Unknown) > 0 {
		return perhaps
	}
	return all
}

// among asks whether an address is in one of some prefixes. One that is not valid is in those only
// that have every address.
func among(list []netip.Prefix, of func(*Packet) netip.Addr) test {
	return func(p *Packet) answer {
		addr := of(p)
		return is(slices.ContainsFunc(list, func(one netip.Prefix) bool {
			return one.Bits() == 0 || addr.IsValid() && one.Contains(addr)
		}))
	}
}

// inPorts asks whether a port is one of some.
func inPorts(list []rules.Ports, of func(*Packet) uint16) test {
	return func(p *Packet) answer { return is(holdsPort(list, of(p))) }
}

// holdsPort tells whether a port is one of some.
func holdsPort(list []rules.Ports, port uint16) bool {
	return slices.ContainsFunc(list, func(one rules.Ports) bool { return one.First <= port && port <= one.Last })
}

// fromPorts asks for the port that a client has: any from 1024 on, and nobody knows which.
func fromPorts(list []rules.Ports) test {
	whole := slices.ContainsFunc(list, func(one rules.Ports) bool { return one.First <= 1024 && one.Last == 65535 })
	return func(*Packet) answer {
		if whole {
			return yes
		}
		return perhaps
	}
}

// sameLink tells whether an interface is one of a pattern, whose + at the end stands for any rest.
func sameLink(pattern, name string) bool {
	prefix, any := strings.CutSuffix(pattern, "+")
	return pattern == name || any && (prefix == "" || name != "" && strings.HasPrefix(name, prefix))
}

// sameProtocol tells whether a rule's word for a protocol, a name or a number, is that of a packet.
func sameProtocol(word, protocol string) bool {
	number, err := strconv.ParseUint(word, 10, 8)
	return word == protocol || word == "all" || err == nil && (number == 0 || uint8(number) == rules.ProtocolNumber(protocol))
}

// inState asks for one of the states that the first packet of a connection has.
func inState(list string) test {
	states := strings.Split(list, ",")
	return func(p *Packet) answer {
		has := slices.Contains(states, "NEW") ||
			slices.Contains(states, "DNAT") && p.Asked.IsValid() || slices.Contains(states, "SNAT") && p.SourceIsRewritten
		return is(has)
	}
}

// flagged asks for the flags of TCP: a first packet has SYN alone.
func flagged(mask, set string) test {
	masked, wanted := strings.Split(mask, ","), strings.Split(set, ",")
	return func(*Packet) answer {
		for _, flag := range []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"} {
			asked := slices.Contains(masked, flag) || slices.Contains(masked, "ALL")
			on := slices.Contains(wanted, flag) || slices.Contains(wanted, "ALL")
			if asked && on != (flag == "SYN") {
				return no
			}
		}
		return yes
	}
}

// The parts of a packet.
func sourceOf(p *Packet) netip.Addr      { return p.Source }
func destinationOf(p *Packet) netip.Addr { return p.Destination }
func askedOf(p *Packet) netip.Addr       { return p.Asked.Addr() }
func portOf(p *Packet) uint16            { return p.Port }
func askedPortOf(p *Packet) uint16       { return p.Asked.Port() }
