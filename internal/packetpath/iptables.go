package packetpath

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// fromIPTables reads a table of iptables. partly names the rules, by chain and place, of which
// iptables shows only a part: they may ask for anything more.
func fromIPTables(r rules.Ruleset, name string, partly map[string][]int) table {
	read := table{}
	iptables := rules.Program(r.Family, r.Variant, "") + " -t " + name
	for _, saved := range r.Tables[name] {
		read[saved.Name] = &chain{}
	}
	for _, saved := range r.Tables[name] {
		c := read[saved.Name]
		hook := fmt.Sprintf("%s of the %s table (%s)", saved.Name, name, r.Variant)
		at := func(place int) Rule { return Rule{Hook: hook, Place: place, Variant: r.Variant, Table: name} }
		if saved.Policy == "DROP" {
			policy := at(0)
			policy.Text, policy.Remove = "the policy of "+saved.Name, fmt.Sprintf("%s -P %s ACCEPT", iptables, saved.Name)
			c.policy = &policy
		}
		c.rules = make([]rule, len(saved.Rules))
		for i, one := range saved.Rules {
			is := at(i + 1)
			is.Text = "-A " + saved.Name + " " + one.Text
			is.Remove = fmt.Sprintf("%s -D %s %s", iptables, saved.Name, one.Text)
			c.rules[i] = ruleOf(one, read)
			if slices.Contains(partly[saved.Name], i+1) {
				is.Text += " (iptables shows only a part of it)"
				is.Remove = fmt.Sprintf("%s -D %s %d", iptables, saved.Name, i+1)
				c.rules[i].conditions = append(c.rules[i].conditions, always(perhaps))
			}
			c.rules[i].is = &is
		}
	}
	return read
}

// ruleOf reads one rule of a table.
func ruleOf(saved rules.SavedRule, all table) rule {
	words := slices.Collect(saved.Words())
	reader := optionReader{words: words}
	for reader.next() {
	}
	read := rule{conditions: reader.conditions, exact: reader.exact}
	target := saved.JumpsTo()
	if at := slices.Index(words, target); at >= 0 && target != "" {
		read.act(target, words[at+1:], slices.Contains(words[:at], "-g"), all)
	}
	return read
}

// act sets what a rule does, by its target and the words behind it.
func (r *rule) act(target string, options []string, goTo bool, all table) {
	switch target {
	case "ACCEPT":
		r.verdict = accepts
	case "DROP", "REJECT", "TARPIT", "STEAL":
		r.verdict = drops
	case "RETURN":
		r.verdict = returns
	case "DNAT", "REDIRECT", "BALANCE":
		r.verdict = translates
	case "SNAT", "MASQUERADE":
		r.verdict = hides
	case "NOTRACK":
		r.effect = untracks
	case "CT":
		r.track(options)
	default:
		r.lead(target, goTo, all)
	}
}

// lead sets where a rule leads whose target is a chain, or one that is not known here.
func (r *rule) lead(target string, goTo bool, all table) {
	_, isChain := all[target]
	switch {
	case rules.IsOwn(target):
		r.verdict, r.target = ours, target
	case isChain && goTo:
		r.verdict, r.target = goesTo, target
	case isChain:
		r.verdict, r.target = jumps, target
	case !rules.Passes(target):
		r.verdict = asks
	}
}

// track sets what a rule with the target CT does.
func (r *rule) track(options []string) {
	for i, option := range options {
		switch {
		case option == "--notrack":
			r.effect = untracks
		case strings.HasPrefix(option, "--zone"):
			r.effect, r.zone = zones, -1
			if number, err := strconv.Atoi(options[min(i+1, len(options)-1)]); option == "--zone" && err == nil {
				r.zone = number
			}
		}
	}
}

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

// tcpFlags asks for the flags of a TCP packet: those that begin a connection, and of a reply
// those that answer it. What a backend begins is in the middle of one.
func tcpFlags(mask, set []string) condition {
	return condition{ask: func(p *Packet) answer {
		flags := []string{"SYN"}
		switch {
		case p.OrigSrc.IsValid():
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
		return toType(strings.Split(value, ",")), true
	}
	return condition{}, false
}

// isProtocol tells whether a packet is of a protocol, by its name or number.
func isProtocol(value string, p *Packet) bool {
	number, err := strconv.ParseUint(value, 10, 8)
	return value == p.Protocol || err == nil && uint8(number) == rules.ProtocolNumber(p.Protocol)
}

// toType asks for one of some types of a destination.
func toType(types []string) condition {
	var each conditions
	for _, one := range types {
		each = append(each, hasWord(typeOf, strings.ToLower(one)))
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

// inRanges asks whether an address is in one of some ranges.
func inRanges(ranges addresses, of, otherEnd field[netip.Addr]) condition {
	return condition{about: ofAddress, ask: func(p *Packet) answer { return ranges.has(of(p), otherEnd(p)) }}
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

// inPorts asks whether a port is in one of some ranges.
func inPorts(ranges ports, of field[uint16]) condition {
	return condition{about: ofAddress, ask: func(p *Packet) answer { return ranges.has(of(p)) }}
}

// trackOption reads what a rule asks of the tracked connection.
func trackOption(name, value string) (c condition, known bool) {
	switch name {
	case "--ctstate", "--state":
		return inState(strings.Split(value, ",")), true
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

// inState asks for one of some states of conntrack.
func inState(states []string) condition {
	return condition{ask: func(p *Packet) answer {
		return answerOf(slices.ContainsFunc(states, func(state string) bool { return slices.Contains(p.States, strings.ToUpper(state)) }))
	}}
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
