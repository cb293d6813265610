package rules

import (
	"net/netip"
	"strconv"
)

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

// appendHex appends a number as iptables prints marks: 0x0, 0xf0.
func appendHex(b []byte, n uint16) []byte {
	return strconv.AppendUint(append(b, "0x"...), uint64(n), 16)
}
