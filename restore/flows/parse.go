package flows

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
)

// seenReply is a bit of CTA_STATUS: IPS_SEEN_REPLY of
// include/uapi/linux/netfilter/nf_conntrack_common.h.
const seenReply = 1 << 1

// parse reads the attributes of an entry; false without both of its ways.
func parse(b []byte) (e Entry, ok bool) {
	for kind, value := range attributes(b) {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			e.Protocol, e.OrigSrc, e.OrigDst = parseTuple(value)
		case nl.CTA_TUPLE_REPLY:
			_, e.ReplySrc, e.ReplyDst = parseTuple(value)
		case nl.CTA_STATUS:
			e.SeenReply = len(value) == 4 && binary.BigEndian.Uint32(value)&seenReply != 0
		case nl.CTA_PROTOINFO:
			e.State = parseState(value)
		}
	}
	return e, e.Protocol != 0 && e.OrigSrc.IsValid() && e.OrigDst.IsValid() && e.ReplySrc.IsValid() && e.ReplyDst.IsValid()
}

// key returns the attributes by which the kernel finds an entry again. Without
// CTA_TUPLE_ORIG, which each entry that was read has, it would delete all there are.
func key(b []byte) []byte {
	var key []byte
	for kind, value := range attributes(b) {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			key = append(key, nl.NewRtAttr(int(kind|nl.NLA_F_NESTED), value).Serialize()...)
		case nl.CTA_ZONE, nl.CTA_ID:
			key = append(key, nl.NewRtAttr(int(kind), value).Serialize()...)
		}
	}
	return key
}

// parseTuple reads CTA_TUPLE_ORIG or CTA_TUPLE_REPLY: one way of an entry.
func parseTuple(b []byte) (protocol Protocol, from, to netip.AddrPort) {
	var source, destination netip.Addr
	var sourcePort, destinationPort uint16
	for part, nested := range attributes(b) {
		for kind, value := range attributes(nested) {
			switch {
			case part == nl.CTA_TUPLE_IP && (kind == nl.CTA_IP_V4_SRC || kind == nl.CTA_IP_V6_SRC):
				source, _ = netip.AddrFromSlice(value)
			case part == nl.CTA_TUPLE_IP && (kind == nl.CTA_IP_V4_DST || kind == nl.CTA_IP_V6_DST):
				destination, _ = netip.AddrFromSlice(value)
			case part == nl.CTA_TUPLE_PROTO && kind == nl.CTA_PROTO_NUM && len(value) == 1:
				protocol = Protocol(value[0])
			case part == nl.CTA_TUPLE_PROTO && kind == nl.CTA_PROTO_SRC_PORT && len(value) == 2:
				sourcePort = binary.BigEndian.Uint16(value)
			case part == nl.CTA_TUPLE_PROTO && kind == nl.CTA_PROTO_DST_PORT && len(value) == 2:
				destinationPort = binary.BigEndian.Uint16(value)
			}
		}
	}
	return protocol, netip.AddrPortFrom(source, sourcePort), netip.AddrPortFrom(destination, destinationPort)
}

// parseState reads CTA_PROTOINFO, in which only its own protocol stands.
func parseState(b []byte) (state uint8) {
	for protocol, nested := range attributes(b) {
		for kind, value := range attributes(nested) {
			known := protocol == nl.CTA_PROTOINFO_TCP || protocol == nl.CTA_PROTOINFO_SCTP
			if known && kind == nl.CTA_PROTOINFO_TCP_STATE && len(value) == 1 { // CTA_PROTOINFO_SCTP_STATE is 1, too
				state = value[0]
			}
		}
	}
	return state
}

// attributeAlign is the boundary on which each attribute begins (NLA_ALIGNTO).
const attributeAlign = 4

// attributes yields the type, without its flags, and the value of each attribute of
// a netlink message; it ends at one that is cut.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= nl.SizeofNfattr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < nl.SizeofNfattr || length > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&nl.NLA_TYPE_MASK, b[nl.SizeofNfattr:length]) {
				return
			}
			b = b[min(len(b), aligned(length)):]
		}
	}
}

// aligned rounds a length up to where the next attribute begins.
func aligned(length int) int { return (length + attributeAlign - 1) &^ (attributeAlign - 1) }
