package packetpath

import (
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/rules"
)

// optionReader reads the options of a rule, up to its target.
type optionReader struct {
	words      []string
	module     string // the match that the options are of
	not        bool   // the next one is inverted
	conditions conditions
	exact      exactly
}

// banning are the matches that some clients, or some packets, have: what they are for is to
// stop those, and to let all others pass.
var banning = []string{
	"limit", "hashlimit", "connlimit", "recent", "geoip", "mac", "ttl", "hl", "length", "string", "statistic", "quota",
	"mark", "connmark", "owner", "time", "tcpmss", "rpfilter", "connbytes", "cgroup", "dscp", "tos", "ecn", "helper", "psd",
}

// understood are the matches whose options are read one by one.
var understood = []string{"tcp", "udp", "sctp", "multiport", "conntrack", "state", "comment", "addrtype", "iprange", "set", "pkttype"}

// next reads one option; false at the end.
func (r *optionReader) next() bool {
	if len(r.words) == 0 || r.words[0] == "-j" || r.words[0] == "-g" {
		return false
	}
	word := r.words[0]
	r.words = r.words[1:]
	switch {
	case word == "!":
		r.not = true
	case word == "-m":
		r.begin(r.value())
	case r.module != "" && !slices.Contains(understood, r.module):
		// What it asks for was said when it began.
	case word != "":
		r.add(r.option(word))
	}
	return true
}

// value takes the value of an option.
func (r *optionReader) value() string {
	if len(r.words) == 0 {
		return ""
	}
	value := r.words[0]
	r.words = r.words[1:]
	return value
}

// begin begins the options of a match.
func (r *optionReader) begin(module string) {
	r.module = module
	switch {
	case slices.Contains(understood, module):
	case slices.Contains(banning, module):
		r.add(always(some))
	default:
		r.add(always(perhaps))
	}
}

// add adds a condition.
func (r *optionReader) add(c condition) {
	if r.not {
		c, r.not = inverted(c), false
	}
	r.conditions = append(r.conditions, c)
}

// option reads one option with its value.
func (r *optionReader) option(name string) condition {
	switch name {
	case "--tcp-flags":
		return tcpFlags(strings.Split(r.value(), ","), strings.Split(r.value(), ","))
	case "--syn":
		return tcpFlags([]string{"FIN", "SYN", "RST", "ACK"}, []string{"SYN"})
	case "--match-set":
		r.value()
		if strings.Contains(r.value(), "dst") {
			return always(perhaps)
		}
		return always(some)
	}
	value := r.value()
	r.note(name, value)
	for _, read := range []func(name, value string) (condition, bool){linkOption, addressOption, portOption, trackOption} {
		if c, known := read(name, value); known {
			return c
		}
	}
	return always(perhaps)
}

// note keeps the one exact address or port that an option asks for.
func (r *optionReader) note(name, value string) {
	if r.not || r.exact != (exactly{}) {
		return
	}
	ends, isAddress := rangeOf(value)
	isAddress = isAddress && ends[0] == ends[1]
	port, _ := rules.ReadPortList(value)
	isPort := len(port) == 1 && port[0].First == port[0].Last
	switch {
	case name == "-d" && isAddress:
		r.exact.destination = ends[0]
	case name == "--ctorigdst" && isAddress:
		r.exact.origDst = ends[0]
	case (name == "--dport" || name == "--dports") && isPort:
		r.exact.port = port[0].First
	case name == "--ctorigdstport" && isPort:
		r.exact.origPort = port[0].First
	}
}

// linkOption reads what a rule asks of the interfaces and of the kind of a packet.
func linkOption(name, value string) (c condition, known bool) {
	switch name {
	case "--comment":
		return always(yes), true
	case "-p":
		return ofProtocol(value), true
	case "-i":
		return condition{ask: func(p *Packet) answer { return sameLink(value, p.In) }}, true
	case "-o":
		return condition{ask: func(p *Packet) answer { return sameLink(value, p.Out) }}, true
	case "--pkt-type":
		return always(answerOf(value == "unicast")), true
	case "--dst-type":
		return oneOfWords(typeOf, value), true
	}
	return condition{}, false
}

// oneOfWords asks for one word of a list with commas, which iptables prints in capital letters.
func oneOfWords(words func(*Packet) ([]string, bool), list string) condition {
	var each conditions
	for word := range strings.SplitSeq(list, ",") {
		each = append(each, hasWord(words, strings.ToLower(word)))
	}
	return condition{each.any, each.about()}
}

// addressOption reads what a rule asks of the addresses.
func addressOption(name, value string) (c condition, known bool) {
	var of, other field[netip.Addr]
	switch name {
	case "-s", "--src-range":
		of, other = sourceOf, destinationOf
	case "-d", "--dst-range":
		of, other = destinationOf, sourceOf
	case "--ctorigdst":
		of, other = origDstOf, origDstOf
	case "--ctreplsrc":
		of, other = replySrcOf, replySrcOf
	case "--ctorigsrc":
		of, other = origSrcOf, replySrcOf
	default:
		return condition{}, false
	}
	low, high, isRange := strings.Cut(value, "-")
	one, ok := rangeOf(low)
	if isRange {
		last, okLast := rangeOf(high)
		one[1], ok = last[1], ok && okLast
	}
	if !ok {
		return always(perhaps), true // a mask with holes
	}
	return inRanges(addresses{one}, of, other), true
}

// portOption reads what a rule asks of the ports.
func portOption(name, value string) (c condition, known bool) {
	of := map[string]field[uint16]{
		"--sport": sourcePortOf, "--sports": sourcePortOf, "--dport": destinationPortOf, "--dports": destinationPortOf,
		"--ctorigdstport": origPortOf, "--ctreplsrcport": replyPortOf, "--ctorigsrcport": origSourcePortOf,
	}[name]
	if of == nil {
		return condition{}, false
	}
	ranges, ok := rules.ReadPortList(value)
	if !ok {
		return always(perhaps), true
	}
	return inPorts(ranges, of), true
}

// trackOption reads what a rule asks of the tracked connection.
func trackOption(name, value string) (c condition, known bool) {
	switch name {
	case "--ctstate", "--state":
		return oneOfWords(lowStates, value), true
	case "--ctproto":
		return ofProtocol(value), true
	case "--ctstatus":
		if value == "EXPECTED" { // by a helper: not the connections that clients begin
			return always(no), true
		}
	case "--ctdir":
		return condition{ask: func(p *Packet) answer { return answerOf(p.isReply() == (value == "REPLY")) }}, true
	}
	return condition{}, false
}

// sameLink compares an interface with that of a rule.
func sameLink(pattern, name string) answer {
	if name == "" {
		return perhaps
	}
	return answerOf(rules.IsLink(pattern, name))
}
