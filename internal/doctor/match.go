package doctor

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// packet is a packet that the host forwards, with what conntrack knows about its
// connection. What is not known has its zero value.
type packet struct {
	in, out                     string // interfaces
	source, destination         netip.Addr
	protocol                    string
	sourcePort, destinationPort uint16
	states                      []string       // those of conntrack that it has: NEW, DNAT
	origDst                     netip.AddrPort // what the client sent it to
	replySrc                    netip.AddrPort // the backend
}

// answer says whether a rule matches a packet of which not everything is known.
type answer int

// The answers.
const (
	no answer = iota
	perhaps
	yes
)

// and returns yes only when both are yes.
func (a answer) and(b answer) answer { return min(a, b) }

// not returns the answer to the inverted question.
func (a answer) not() answer { return yes - a }

// answerOf turns a fact into an answer.
func answerOf(fact bool) answer {
	if fact {
		return yes
	}
	return no
}

// plainModules are the match modules that doctor knows. Other ones may ask for anything.
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
			return all.and(perhaps) // nor is it known how many words follow it
		}
		if inverted {
			one = one.not()
		}
		all, inverted = all.and(one), false
	}
	return all
}

// knownOptions are the options that satisfies knows; each has one value.
var knownOptions = []string{
	"-m", "--comment", "-p", "-i", "-o", "-s", "-d", "--sport", "--dport", "--sports", "--dports",
	"--ctstate", "--state", "--ctproto", "--ctorigdst", "--ctorigdstport", "--ctreplsrc", "--ctreplsrcport",
}

// satisfies tells whether a packet has what one option of a rule asks for.
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
		number, err := strconv.ParseUint(value, 10, 8)
		return answerOf(err == nil && uint8(number) == rules.ProtocolNumber(p.protocol))
	case "--ctreplsrc":
		return within(value, p.replySrc.Addr(), p.replySrc.Addr())
	case "--ctreplsrcport":
		return portIn(value, p.replySrc.Port())
	case "--ctorigdst":
		return within(value, p.origDst.Addr(), p.origDst.Addr())
	case "--ctorigdstport":
		return portIn(value, p.origDst.Port())
	}
	return perhaps
}

// sameLink compares an interface with that of a rule. A + at the end of that one stands
// for any rest.
func sameLink(pattern, name string) answer {
	if name == "" {
		return perhaps
	}
	if prefix, any := strings.CutSuffix(pattern, "+"); any {
		return answerOf(strings.HasPrefix(name, prefix))
	}
	return answerOf(pattern == name)
}

// within tells whether an address is in ADDRESS or ADDRESS/BITS. An address that is not
// known is a client's. It may be any, except one in the same prefix as the backend at the
// other end.
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

// firstFree is the first port of clients: only root can use a lower one.
const firstFree = 1024

// portIn tells whether a port is in a list of PORT and FIRST:LAST, with commas. A port that
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
