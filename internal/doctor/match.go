package doctor

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// packet is one that the host forwards. What is not known of it has its zero value.
type packet struct {
	in, out                     string // interfaces
	source, destination         netip.Addr
	protocol                    string
	sourcePort, destinationPort uint16
	states                      []string       // of conntrack, that it is in: NEW, DNAT
	asked                       netip.AddrPort // by the client
	answers                     netip.AddrPort // the backend
}

// protocolNumbers are the protocols of services as --ctproto prints them.
var protocolNumbers = map[string]string{"tcp": "6", "udp": "17", "sctp": "132"}

// answer says whether a rule matches a packet of which not all is known.
type answer int

// The answers.
const (
	no answer = iota
	perhaps
	yes
)

// and is yes only when both are.
func (a answer) and(b answer) answer { return min(a, b) }

// not turns an answer round.
func (a answer) not() answer { return yes - a }

// answerOf turns a fact into an answer.
func answerOf(fact bool) answer {
	if fact {
		return yes
	}
	return no
}

// plainModules are the modules whose options are known to matches; others, and
// options that are not, may ask for anything.
var plainModules = []string{"tcp", "udp", "sctp", "multiport", "conntrack", "state", "comment"}

// matches tells whether a rule matches a packet.
func (r rule) matches(p packet) answer {
	all := yes
	inverted := false
	for i := 0; i < len(r.words); i++ {
		word := r.words[i]
		switch {
		case word == "!":
			inverted = true
			continue
		case word == "" || word == "-j" || word == "-g":
			return all
		}
		value := ""
		if i+1 < len(r.words) {
			value = r.words[i+1]
			i++
		}
		one := p.satisfies(word, value)
		if one == perhaps && !slices.Contains(knownOptions, word) {
			return all.and(perhaps) // how many words it takes is not known, either
		}
		if inverted {
			one = one.not()
		}
		all, inverted = all.and(one), false
	}
	return all
}

// knownOptions are those that satisfies knows.
var knownOptions = []string{
	"-m", "--comment", "-p", "-i", "-o", "-s", "-d", "--sport", "--dport", "--sports", "--dports",
	"--ctstate", "--state", "--ctproto", "--ctorigdst", "--ctorigdstport", "--ctreplsrc", "--ctreplsrcport",
}

// satisfies tells whether a packet is what one option of a rule asks for.
func (p packet) satisfies(option, value string) answer {
	switch option {
	case "-m":
		if slices.Contains(plainModules, value) {
			return yes
		}
	case "--comment":
		return yes
	case "-p":
		return answerOf(value == p.protocol)
	case "-i":
		return sameLink(value, p.in)
	case "-o":
		return sameLink(value, p.out)
	case "-s":
		return within(value, p.source, p.destination)
	case "-d":
		return within(value, p.destination, p.source)
	case "--sport", "--sports":
		return portIn(value, p.sourcePort)
	case "--dport", "--dports":
		return portIn(value, p.destinationPort)
	case "--ctstate", "--state":
		return answerOf(slices.ContainsFunc(strings.Split(value, ","), func(state string) bool { return slices.Contains(p.states, state) }))
	case "--ctproto":
		return answerOf(value == protocolNumbers[p.protocol])
	case "--ctreplsrc":
		return within(value, p.answers.Addr(), p.answers.Addr())
	case "--ctreplsrcport":
		return portIn(value, p.answers.Port())
	case "--ctorigdst":
		return within(value, p.asked.Addr(), p.asked.Addr())
	case "--ctorigdstport":
		return portIn(value, p.asked.Port())
	}
	return perhaps
}

// sameLink compares an interface with one of a rule; a + at its end is any rest.
func sameLink(pattern, name string) answer {
	if name == "" {
		return perhaps
	}
	if prefix, any := strings.CutSuffix(pattern, "+"); any {
		return answerOf(strings.HasPrefix(name, prefix))
	}
	return answerOf(pattern == name)
}

// within tells whether an address is in ADDRESS or ADDRESS/BITS. A client, whose
// address is not known, may be anywhere but beside the backend at the other end.
func within(text string, addr, otherEnd netip.Addr) answer {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		one, err := netip.ParseAddr(text)
		if err != nil {
			return perhaps // a mask with holes
		}
		prefix = netip.PrefixFrom(one, one.BitLen())
	}
	switch {
	case addr.IsValid():
		return answerOf(prefix.Contains(addr))
	case prefix.Bits() > 0 && prefix.Contains(otherEnd):
		return no
	}
	return perhaps
}

// firstFree is the first port that clients have: those below are root's.
const firstFree = 1024

// portIn tells whether a port is in a list of PORT and FIRST:LAST, with commas. One that
// is not known is a client's.
func portIn(text string, port uint16) answer {
	found := no
	for _, one := range strings.Split(text, ",") {
		found = max(found, portBetween(one, port))
	}
	return found
}

// portBetween is portIn for one of the list.
func portBetween(text string, port uint16) answer {
	low, high, isRange := strings.Cut(text, ":")
	if !isRange {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	switch {
	case err != nil || err2 != nil:
		return perhaps
	case port == 0:
		return min(perhaps, answerOf(last >= firstFree))
	}
	return answerOf(first <= uint64(port) && uint64(port) <= last)
}
