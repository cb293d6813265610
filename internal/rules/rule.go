package rules

import "net/netip"

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
