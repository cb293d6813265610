package rules

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// passing are the targets after which a packet meets the next rule.
var passing = []string{
	"", "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TCPMSS", "TRACE", "AUDIT", "SET", "CLASSIFY", "DSCP", "ECN",
	"TOS", "TTL", "HL", "CHECKSUM", "CT", "SECMARK", "CONNSECMARK", "IDLETIMER", "LED", "RATEEST", "TEE", "HMARK",
}

// Passes tells whether a packet that a rule with this target matches meets the next rule.
func Passes(target string) bool { return slices.Contains(passing, target) }

// goesTo tells whether the rule leads to its chain by -g.
func (r SavedRule) goesTo() bool {
	for word := range r.Words() {
		if word == "-g" {
			return true
		}
	}
	return false
}

// MayTakePort tells whether the rule may match a packet of a protocol to some of these ports:
// whether neither its protocol nor a port that it asks for says no.
func (r SavedRule) MayTakePort(protocol string, ports Ports) bool {
	asked := candidate{protocol: protocol, port: ports}
	for _, one := range conditionsOf(r) {
		asks := one.option == "-p" || one.option == "--dport" || one.option == "--dports"
		if asks && asked.reachOf(one) == some {
			return false
		}
	}
	return true
}

// condition is one of a rule's.
type condition struct {
	not           bool
	option, value string
}

// conditionsOf returns the conditions of a rule, each with the word behind it.
func conditionsOf(rule SavedRule) []condition {
	var all []condition
	words := slices.Collect(rule.Words())
	not := false
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case word == "!":
			not = true
		case word == "" || word == "-j" || word == "-g":
			return all
		default:
			one := condition{not: not, option: word}
			if i++; i < len(words) {
				one.value = words[i]
			}
			all, not = append(all, one), false
		}
	}
	return all
}

// reach says of which clients a condition takes the packets of a candidate.
type reach int

// The reaches.
const (
	some    reach = iota // of none, or of some: it may be a ban, or is not known
	anybody              // of any client, if it comes by some interface or has some state
	always               // of all
)

// candidate is a packet of own connections in FORWARD, whoever the client is: the first one
// to a backend or from one, or an answer.
type candidate struct {
	protocol string
	backend  netip.Prefix // none in the accepts of natspread 0.1
	port     Ports        // where the backend answers; none in those, too
	answers  bool         // it is not the first one
	leaves   bool         // it comes from the backend
	link     func(netip.Addr) string
}

// reach returns that of all conditions together.
func (c *candidate) reach(conditions []condition) reach {
	all := always
	for _, one := range conditions {
		if all = min(all, c.reachOf(one)); all == some {
			break
		}
	}
	return all
}

// mayBegin tells whether conditions leave room for the first packet of a connection. What
// drops answers only, in a state that no first packet has, is not what closes FORWARD.
func (c *candidate) mayBegin(conditions []condition) bool {
	return !slices.ContainsFunc(conditions, func(one condition) bool {
		return (one.option == "--ctstate" || one.option == "--state") && one.has("NEW", "DNAT") == one.not
	})
}

// plainMatches are the matches of which each option is judged by itself.
var plainMatches = []string{"tcp", "udp", "sctp", "multiport", "conntrack", "state", "comment"}

// reachOf returns that of one condition. By which interface clients come in is not known, so
// any may be it. A condition on the client's end, and by which interface answers leave, takes
// some clients only.
func (c *candidate) reachOf(one condition) reach {
	switch one.option {
	case "-m":
		return sure(slices.Contains(plainMatches, one.value))
	case "--comment":
		return always
	case "-i":
		if c.leaves && c.toBackend() != "" {
			return sure(IsLink(one.value, c.toBackend()) != one.not)
		}
		return anybody
	case "-o":
		return sure(!c.leaves && c.toBackend() != "" && IsLink(one.value, c.toBackend()) != one.not)
	case "-p":
		return sure((one.value == c.protocol || one.value == "all") != one.not)
	case "--ctproto":
		return sure((one.value == strconv.Itoa(int(ProtocolNumber(c.protocol)))) != one.not)
	case "-d":
		return c.at(one)
	case "--dport", "--dports":
		return c.atPort(one, !c.leaves)
	case "--sport", "--sports":
		return c.atPort(one, c.leaves)
	case "--ctstate", "--state":
		return sure(one.has(c.states()...) != one.not)
	}
	return some // -s, too: it is a ban
}

// states returns the states of conntrack that the packet has. The first packet from a backend
// has no SNAT yet: its source is rewritten behind FORWARD.
func (c *candidate) states() []string {
	switch {
	case c.answers && c.leaves:
		return []string{"ESTABLISHED", "DNAT"}
	case c.answers:
		return []string{"ESTABLISHED", "SNAT"}
	case c.leaves:
		return []string{"NEW"}
	}
	return []string{"NEW", "DNAT"}
}

// toBackend returns the interface by which the backend is reached, "" where it is not known.
func (c *candidate) toBackend() string {
	if !c.backend.IsValid() {
		return ""
	}
	return c.link(c.backend.Addr())
}

// has tells whether the condition names one of some states.
func (o condition) has(states ...string) bool {
	return slices.ContainsFunc(strings.Split(o.value, ","), func(s string) bool { return slices.Contains(states, s) })
}

// sure is always where something is so.
func sure(is bool) reach {
	if is {
		return always
	}
	return some
}

// at judges a condition on the destination, which is the backend, or for answers the client.
func (c *candidate) at(one condition) reach {
	prefix, err := netip.ParsePrefix(one.value)
	if err != nil || c.leaves || !c.backend.IsValid() {
		return some
	}
	switch {
	case prefix.Bits() <= c.backend.Bits() && prefix.Contains(c.backend.Addr()):
		return sure(!one.not)
	case c.backend.Overlaps(prefix):
		return anybody
	}
	return sure(one.not)
}

// atPort judges a condition on a port, of the backend's end or of the client's.
func (c *candidate) atPort(one condition, backend bool) reach {
	if !backend || c.port == (Ports{}) {
		return some
	}
	list, ok := ReadPortList(one.value)
	if !ok {
		return some
	}
	whole, part := false, false
	for _, asked := range list {
		whole = whole || asked.First <= c.port.First && c.port.Last <= asked.Last
		part = part || asked.First <= c.port.Last && c.port.First <= asked.Last
	}
	if whole != part {
		return anybody
	}
	return sure(whole != one.not)
}
