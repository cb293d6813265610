package rules

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/slots"
)

// Rule is one rule of an own chain, or a jump. The zero value of a field is no
// condition. The field order is the order in which iptables-save prints them.
type Rule struct {
	Source              netip.Prefix // -s
	NotDestination      netip.Prefix // ! -d
	Destination         netip.Prefix // -d
	InInterface         string       // -i: a name, or a pattern, which ends in +
	Protocol            string       // -p: tcp, udp, sctp
	SourcePorts         Ports        // -m PROTOCOL --sport
	DestinationPorts    Ports        // -m PROTOCOL --dport
	Midstream           bool         // -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN: no packet that begins a connection
	Handshake           bool         // -m tcp --tcp-flags SYN,RST SYN: it begins a connection, or is the first answer
	LocalDestination    bool         // -m addrtype --dst-type LOCAL
	BeginsOrSNAT        bool         // -m conntrack --ctstate NEW,SNAT: it begins, or its source was rewritten
	Translated          bool         // -m conntrack --ctstate DNAT: the destination was rewritten
	SourceTranslated    bool         // -m conntrack --ctstate SNAT: the source was rewritten
	ConnectionProtocol  string       // -m conntrack --ctproto: tcp, udp, sctp; unlike -p it holds for ICMP errors, too
	OriginalSource      netip.Prefix // -m conntrack --ctorigsrc: who began the connection
	OriginalDestination netip.Prefix // -m conntrack --ctorigdst: what it was before
	ReplySource         netip.Prefix // -m conntrack --ctreplsrc: who answers, the backend
	OriginalSourcePorts Ports        // -m conntrack --ctorigsrcport
	OriginalPorts       Ports        // -m conntrack --ctorigdstport
	ReplyPorts          Ports        // -m conntrack --ctreplsrcport
	Expected            bool         // -m conntrack --ctstatus EXPECTED: a helper announced it, such as that of FTP
	Mark                Mark         // -m mark
	Statistic           Statistic    // -m statistic
	Comment             string       // -m comment --comment: letters only, so it needs no quotes
	Target              Target       // -j, or -g
}

// Mark is the match on some bits of the packet's mark. The zero value is no match. Without a
// mask iptables would print a value alone, so there is always one, and not of all bits.
type Mark struct {
	Value uint16 // no bit of it is outside of the mask
	Mask  uint16 // at most the bits of slots.Max-1
}

// Holds tells whether a mark satisfies the condition.
func (m Mark) Holds(mark int) bool { return mark&int(m.Mask) == int(m.Value) }

// Statistic is the match that spreads connections: random with a probability
// in the kernel's own steps, or nth. The zero value is no match.
type Statistic struct {
	// Steps is the probability of mode random in steps of 2^-31, the unit of
	// struct xt_statistic_info; 1 to Certain-1.
	Steps uint32
	// Every is the period of mode nth: of so many packets that reach the rule,
	// the first one matches (--packet 0).
	Every uint32
}

// ProbabilityScale is probability 1 in the kernel's steps. No rule carries it: a rule
// that always matches has no statistic match.
const ProbabilityScale = 1 << 31

// TargetKind is what a rule does with a packet that it matches.
type TargetKind uint8

// The targets that natspread's rules use. A Jump comes back to the rule behind it
// when the chain that it leads to has nothing for a packet; a Goto goes on where
// that rule's own chain would. Refuse always leads to port 0, where no socket can
// listen: the kernel itself answers with a refusal. Without an address, by REDIRECT, it
// leads to the first one of the interface that a packet comes in by; one without any
// drops it. Hash and RestoreMark are no end: the packet goes on with another mark, to the
// next rule. Hash makes the packet's mark its slot; it overwrites all of it. RestoreMark
// makes it that of the connection. Return leaves the packet to the rule behind the last Jump. ClampMSS
// is no end either: it lowers what a side of a connection says of the longest segments that it takes.
const (
	Jump TargetKind = iota
	Goto
	DNAT
	SNAT
	Masquerade
	Refuse
	Accept
	Hash
	RestoreMark
	Return
	ClampMSS
)

// Target is the end of a rule.
type Target struct {
	Kind       TargetKind
	Prefix     uint8      // Hash: how many first bits of the source address tell
	SourcePort bool       // Hash: the source port tells, too
	Slots      uint16     // Hash: how many slots there are
	Segment    uint16     // ClampMSS: bytes of the longest segment; 0 is what this host's links and routes take, both ways
	Port       uint16     // DNAT, SNAT; 0 keeps the port of the packet
	Shift      Shift      // DNAT: Port begins a range
	Random     bool       // SNAT, Masquerade: the source port is picked by chance (--random-fully)
	Chain      string     // Jump, Goto
	Address    netip.Addr // DNAT, SNAT; Refuse, where it is an address of the host
	Last       netip.Addr // SNAT: of a range that Address begins; zero for one address
}

// Ends tells whether a packet goes no further than to the target, or to the chain that it
// leads to.
func (t Target) Ends() bool { return t.Kind != Hash && t.Kind != RestoreMark && t.Kind != ClampMSS }

// stays tells whether the rule leaves what was asked of one address with the host that has it.
func (r *Rule) stays() bool {
	return r.Target.Kind == Accept && r.Protocol != "" && !r.Translated && r.Destination.IsSingleIP()
}

// Leads returns the target of the rule. An accept of what was asked of one address leads where a DNAT to
// that address would.
func (r Rule) Leads() Target {
	if r.stays() {
		return Target{Kind: DNAT, Address: r.Destination.Addr()}
	}
	return r.Target
}

// belongs tells whether the rule may stand in a table. An accept in the nat table keeps the
// rules of others away from what it matches: it may be only for what was translated, or was asked of
// one address.
func (r *Rule) belongs(name TableName) bool {
	switch {
	case name != Filter && (r.Expected || r.SourceTranslated || r.BeginsOrSNAT || r.OriginalSource.IsValid() || r.OriginalSourcePorts != Ports{}):
		return false
	case name != NAT && (r.Midstream || r.SourcePorts != Ports{}):
		return false
	case name == Mangle:
		return r.Target.Chain != "" || r.Target.Kind == ClampMSS
	case r.Handshake || r.Target.Kind == ClampMSS:
		return false
	case r.Target.Chain != "":
		return true
	case r.Target.Kind != Accept:
		return name == NAT
	case name == NAT:
		return r.Translated || r.stays()
	}
	return r.ConnectionProtocol != "" || r.Expected
}

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

// AppendText appends the rule as iptables-save prints it after "-A CHAIN ".
func (r Rule) AppendText(b []byte) []byte {
	b = appendPrefix(b, "-s ", r.Source)
	b = appendPrefix(b, "! -d ", r.NotDestination)
	b = appendPrefix(b, "-d ", r.Destination)
	if r.InInterface != "" {
		b = append(append(append(b, "-i "...), r.InInterface...), ' ')
	}
	if r.Protocol != "" {
		b = append(append(append(b, "-p "...), r.Protocol...), ' ')
	}
	if r.SourcePorts != (Ports{}) || r.DestinationPorts != (Ports{}) || r.Midstream || r.Handshake {
		b = append(append(append(b, "-m "...), r.Protocol...), ' ')
		b = appendPorts(b, "--sport ", r.SourcePorts)
		b = appendPorts(b, "--dport ", r.DestinationPorts)
		if r.Midstream {
			b = append(b, notSYN+" "...)
		}
		if r.Handshake {
			b = append(b, anySYN+" "...)
		}
	}
	if r.LocalDestination {
		b = append(b, "-m addrtype --dst-type LOCAL "...)
	}
	b = r.appendConntrack(b)
	if r.Mark != (Mark{}) {
		b = append(appendHex(append(appendHex(append(b, "-m mark --mark "...), r.Mark.Value), '/'), r.Mark.Mask), ' ')
	}
	b = r.Statistic.appendTo(b)
	if r.Comment != "" {
		b = append(append(append(b, "-m comment --comment "...), r.Comment...), ' ')
	}
	return r.Target.appendTo(b)
}

// notSYN is the condition of Midstream, as iptables prints ! --syn.
const notSYN = "! --tcp-flags FIN,SYN,RST,ACK SYN"

// anySYN is the condition of Handshake.
const anySYN = "--tcp-flags SYN,RST SYN"

// appendPorts appends a condition on ports.
func appendPorts(b []byte, option string, ports Ports) []byte {
	if ports == (Ports{}) {
		return b
	}
	return append(ports.appendTo(append(b, option...), ':'), ' ')
}

// appendPrefix appends a condition on an address, always with its length.
func appendPrefix(b []byte, option string, prefix netip.Prefix) []byte {
	if !prefix.IsValid() {
		return b
	}
	b = appendAddress(append(b, option...), prefix.Addr())
	b = strconv.AppendInt(append(b, '/'), int64(prefix.Bits()), 10)
	return append(b, ' ')
}

// scoped tells whether an accept, or an SNAT to a port, is for no packets but natspread's own, and
// whether a return is for some clients only. An accept is for connections of one protocol: asked of
// some address at some port, answered by some backend at some port, or begun by some backend at some
// port. Else it is for what a helper expects of some backend, or for what stays. The accepts in FORWARD
// of natspread 0.1 name no backend. What makes segments shorter takes the first packets of such a
// connection only: iptables itself asks for them in the rule.
func (r *Rule) scoped() bool {
	switch {
	case r.Target.Kind == SNAT && r.Target.Port != 0:
		return r.Source.IsValid() && r.SourcePorts != (Ports{})
	case r.Target.Kind == Return:
		return r.Source.IsValid()
	case r.Target.Kind == ClampMSS && !r.Handshake:
		return false
	case r.Target.Kind != Accept && r.Target.Kind != ClampMSS:
		return true
	case r.Expected:
		return r.SourceTranslated && r.OriginalSource.IsValid() || r.Translated && r.ReplySource.IsValid()
	case r.stays():
		return true
	}
	asked, answered := r.OriginalPorts != (Ports{}), r.ReplyPorts != (Ports{})
	begun := r.OriginalSource.IsValid() && r.OriginalSourcePorts != (Ports{})
	return r.ConnectionProtocol != "" && (begun || r.OriginalDestination.IsValid() && asked || r.ReplySource.IsValid() && (asked || answered)) ||
		r.Protocol != "" && r.Translated && asked && (r.OriginalDestination.IsValid() || r.Destination.IsValid())
}

// AsksConntrack tells whether the rule has a condition on the connection.
func (r Rule) AsksConntrack() bool { return len(r.appendConntrack(nil)) > 0 }

// appendConntrack appends the conditions on the connection: on what it asked for
// before its destination was rewritten, and on who answers it. Without any it appends nothing.
func (r *Rule) appendConntrack(before []byte) []byte {
	b := append(before, "-m conntrack "...)
	none := len(b)
	if r.BeginsOrSNAT {
		b = append(b, "--ctstate NEW,SNAT "...)
	}
	if r.Translated {
		b = append(b, "--ctstate DNAT "...)
	}
	if r.SourceTranslated {
		b = append(b, "--ctstate SNAT "...)
	}
	if r.ConnectionProtocol != "" {
		b = strconv.AppendUint(append(b, "--ctproto "...), uint64(ProtocolNumber(r.ConnectionProtocol)), 10)
		b = append(b, ' ')
	}
	b = appendConnectionEnd(b, "--ctorigsrc ", r.OriginalSource)
	b = appendConnectionEnd(b, "--ctorigdst ", r.OriginalDestination)
	b = appendConnectionEnd(b, "--ctreplsrc ", r.ReplySource)
	b = appendPorts(b, "--ctorigsrcport ", r.OriginalSourcePorts)
	b = appendPorts(b, "--ctorigdstport ", r.OriginalPorts)
	b = appendPorts(b, "--ctreplsrcport ", r.ReplyPorts)
	if r.Expected {
		b = append(b, "--ctstatus EXPECTED "...)
	}
	if len(b) == none {
		return before
	}
	return b
}

// appendConnectionEnd appends a condition on an end of the connection, alone of all
// on addresses without the length of the prefix when it is a single one.
func appendConnectionEnd(b []byte, option string, prefix netip.Prefix) []byte {
	if !prefix.IsSingleIP() {
		return appendPrefix(b, option, prefix)
	}
	return append(appendAddress(append(b, option...), prefix.Addr()), ' ')
}

// protocols are those that rules of ours may name, by the numbers that IP and --ctproto
// have for them.
var protocols = []struct {
	name   string
	number uint8
}{{"tcp", 6}, {"udp", 17}, {"sctp", 132}}

// ProtocolNumber returns the number of one of the protocols that services have; 0 for
// every other one.
func ProtocolNumber(name string) uint8 {
	for _, known := range protocols {
		if known.name == name {
			return known.number
		}
	}
	return 0
}

// appendHex appends a number as iptables prints marks: 0x0, 0xf0.
func appendHex(b []byte, n uint16) []byte {
	return strconv.AppendUint(append(b, "0x"...), uint64(n), 16)
}

// probabilityDigits is how many digits libxt_statistic prints behind the point, which tell all
// 2^31 steps apart: a step is 5^11 / 2^20 of their last place.
const (
	probabilityDigits = 11
	stepTimes         = 48828125 // 5^11
	stepShift         = 20
)

// probabilitySteps returns the step that is nearest to a number of digits.
func probabilitySteps(digits uint64) uint64 {
	return (digits<<stepShift + stepTimes/2) / stepTimes
}

// appendProbability appends a number of steps as printf(3) rounds it: from the middle between two
// numbers of digits it goes to the even one.
func appendProbability(b []byte, steps uint32) []byte {
	product := uint64(steps) * stepTimes
	digits, rest := product>>stepShift, product&(1<<stepShift-1)
	if rest > 1<<(stepShift-1) || rest == 1<<(stepShift-1) && digits&1 == 1 {
		digits++
	}
	b = append(b, "0.00000000000"...)
	for place := len(b) - 1; digits > 0; place-- {
		b[place] = byte('0' + digits%10)
		digits /= 10
	}
	return b
}

// appendTo appends the match.
func (s Statistic) appendTo(b []byte) []byte {
	switch {
	case s.Steps != 0:
		b = appendProbability(append(b, "-m statistic --mode random --probability "...), s.Steps)
	case s.Every != 0:
		b = append(b, "-m statistic --mode nth --every "...)
		b = strconv.AppendUint(b, uint64(s.Every), 10)
		b = append(b, " --packet 0"...)
	default:
		return b
	}
	return append(b, ' ')
}

// appendTo appends the target with its options.
func (t Target) appendTo(b []byte) []byte {
	switch t.Kind {
	case Jump:
		return append(append(b, "-j "...), t.Chain...)
	case Goto:
		return append(append(b, "-g "...), t.Chain...)
	case DNAT:
		return t.Shift.appendTo(t.appendSocket(append(b, "-j DNAT --to-destination "...)))
	case SNAT:
		return t.appendSource(append(b, "-j SNAT --to-source "...))
	case Masquerade:
		return t.appendRandom(append(b, "-j MASQUERADE"...))
	case Accept:
		return append(b, "-j ACCEPT"...)
	case Hash:
		return t.appendHash(b)
	case RestoreMark:
		return append(b, restoreMark...)
	case Return:
		return append(b, "-j RETURN"...)
	case ClampMSS:
		return t.appendClamp(b)
	}
	if t.Address.IsValid() {
		return append(appendSocketAddress(append(b, "-j DNAT --to-destination "...), t.Address), '0')
	}
	return append(b, "-j REDIRECT --to-ports 0"...)
}

// restoreMark is the target RestoreMark with its options.
const restoreMark = "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff"

// appendHash appends the target Hash with its options.
func (t Target) appendHash(b []byte) []byte {
	b = strconv.AppendUint(append(b, "-j HMARK --hmark-src-prefix "...), uint64(t.Prefix), 10)
	if t.SourcePort {
		b = append(b, " --hmark-sport-mask 0xffff"...)
	}
	b = append(b, " --hmark-rnd 0x"...)
	b = strconv.AppendUint(b, slots.Seed, 16)
	return strconv.AppendUint(append(b, " --hmark-mod "...), uint64(t.Slots), 10)
}

// appendClamp appends the target ClampMSS with its option.
func (t Target) appendClamp(b []byte) []byte {
	if t.Segment == 0 {
		return append(b, "-j TCPMSS --clamp-mss-to-pmtu"...)
	}
	return strconv.AppendUint(append(b, "-j TCPMSS --set-mss "...), uint64(t.Segment), 10)
}

// appendSocket appends the address of a DNAT or SNAT target; brackets stand around an
// IPv6 address only when a port follows.
func (t Target) appendSocket(b []byte) []byte {
	if t.Port == 0 {
		return appendAddress(b, t.Address)
	}
	return strconv.AppendUint(appendSocketAddress(b, t.Address), uint64(t.Port), 10)
}

// appendSocketAddress appends an address that a port follows.
func appendSocketAddress(b []byte, address netip.Addr) []byte {
	if address.Is6() {
		return append(appendAddress(append(b, '['), address), "]:"...)
	}
	return append(appendAddress(b, address), ':')
}

// Chain is a chain and its rules in order.
type Chain struct {
	Name  string
	Rules []Rule
}

// Equal tells whether two chains have the same name and the same rules. It looks at no rule
// where both have them at one place, as in tables of which one was made from the other.
func (c Chain) Equal(other Chain) bool {
	if c.Name != other.Name || len(c.Rules) != len(other.Rules) {
		return false
	}
	return len(c.Rules) == 0 || &c.Rules[0] == &other.Rules[0] || slices.Equal(c.Rules, other.Rules)
}
