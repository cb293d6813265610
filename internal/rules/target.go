package rules

import (
	"net/netip"
	"strconv"
	"strings"

	"natspread/internal/slots"
)

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

// target takes a target with its options.
func (r *ruleReader) target(name string) {
	target := &r.rule.Target
	switch name {
	case "DNAT":
		target.Kind = DNAT
		r.destination(target)
	case "SNAT":
		target.Kind = SNAT
		r.source(target)
	case "MASQUERADE":
		target.Kind, target.Random = Masquerade, r.random()
	case "ACCEPT":
		target.Kind = Accept
	case "RETURN":
		target.Kind = Return
	case "HMARK":
		target.Kind = Hash
		r.hash(target)
	case "CONNMARK":
		target.Kind = RestoreMark
		for range 5 {
			r.next() // the one spelling that parse takes
		}
	case "TCPMSS":
		target.Kind = ClampMSS
		r.clamp(target)
	case "REDIRECT":
		target.Kind = Refuse
		r.word("--to-ports")
		r.word("0")
	default:
		target.Chain = r.ownChain(name)
	}
}

// destination takes the option of -j DNAT.
func (r *ruleReader) destination(target *Target) {
	r.word("--to-destination")
	socket, shift, ranged := strings.Cut(r.next(), "-")
	port := false
	if target.Address, target.Port, port = r.backend(socket); port && target.Port == 0 {
		target.Kind = Refuse
	}
	if ranged {
		r.shift(target, shift)
	}
}

// hash takes the options of -j HMARK.
func (r *ruleReader) hash(target *Target) {
	r.word("--hmark-src-prefix")
	target.Prefix = uint8(r.number(8))
	if target.SourcePort = r.peek() == "--hmark-sport-mask"; target.SourcePort {
		r.next()
		r.word("0xffff")
	}
	r.word("--hmark-rnd")
	r.next() // the one seed that parse takes
	r.word("--hmark-mod")
	target.Slots = uint16(r.number(16))
	r.bad = r.bad || target.Prefix == 0 || target.Prefix > 128 || !slots.Valid(int(target.Slots))
}

// clamp takes the option of -j TCPMSS.
func (r *ruleReader) clamp(target *Target) {
	switch r.next() {
	case "--clamp-mss-to-pmtu":
	case "--set-mss":
		target.Segment = uint16(r.number(16))
		r.bad = r.bad || target.Segment == 0
	default:
		r.bad = true
	}
}
