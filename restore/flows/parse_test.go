package flows

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// appendAttribute appends an attribute of that type.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	return append(b, nl.NewRtAttr(int(kind), value).Serialize()...)
}

// message builds what the kernel says of an entry: CTA_PROTOINFO holds a state for one
// protocol.
func message(protocol Protocol, info uint16, state uint8) []byte {
	port := func(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }
	tuple := func(kind uint16, source, destination [4]byte) []byte {
		var addresses, ports, whole []byte
		addresses = appendAttribute(addresses, nl.CTA_IP_V4_SRC, source[:])
		addresses = appendAttribute(addresses, nl.CTA_IP_V4_DST, destination[:])
		ports = appendAttribute(ports, nl.CTA_PROTO_NUM, []byte{byte(protocol)})
		ports = appendAttribute(ports, nl.CTA_PROTO_SRC_PORT, port(1))
		ports = appendAttribute(ports, nl.CTA_PROTO_DST_PORT, port(2))
		whole = appendAttribute(whole, nl.CTA_TUPLE_IP|nl.NLA_F_NESTED, addresses)
		whole = appendAttribute(whole, nl.CTA_TUPLE_PROTO|nl.NLA_F_NESTED, ports)
		return appendAttribute(nil, kind|nl.NLA_F_NESTED, whole)
	}
	nested := appendAttribute(nil, info|nl.NLA_F_NESTED, appendAttribute(nil, nl.CTA_PROTOINFO_TCP_STATE, []byte{state}))
	return slices.Concat(
		tuple(nl.CTA_TUPLE_ORIG, [4]byte{192, 0, 2, 99}, [4]byte{192, 0, 2, 10}),
		tuple(nl.CTA_TUPLE_REPLY, [4]byte{10, 0, 0, 1}, [4]byte{192, 0, 2, 99}),
		appendAttribute(nil, nl.CTA_PROTOINFO|nl.NLA_F_NESTED, nested))
}

// FuzzParse holds the reader to the bounds of whatever it is given.
func FuzzParse(f *testing.F) {
	whole := message(TCP, nl.CTA_PROTOINFO_TCP, tcpTimeWait)
	for end := range len(whole) {
		f.Add(whole[:end])
	}
	f.Add(whole)
	f.Add([]byte{8, 0, 1, 0x80, 200, 0, 1, 0x80}) // the inner one is longer than the message
	source := appendAttribute(nil, nl.CTA_IP_V4_SRC, []byte{10, 0, 0, 1})
	f.Add(appendAttribute(whole, nl.CTA_TUPLE_REPLY, appendAttribute(nil, nl.CTA_TUPLE_IP, source))) // to nobody
	f.Fuzz(func(t *testing.T, data []byte) {
		e, ok := parse(data)
		if ok && (e.Protocol == 0 || !e.OrigSrc.IsValid() || !e.OrigDst.IsValid() || !e.ReplySrc.IsValid() || !e.ReplyDst.IsValid()) {
			t.Errorf("%x is read as %+v", data, e)
		}
		if _, whole := maps.Collect(attributes(key(data)))[nl.CTA_TUPLE_ORIG]; ok && !whole {
			t.Errorf("%x gets the key %x, which deletes everything", data, key(data))
		}
	})
}

// TestParse reads a message, whole and then without its end.
func TestParse(t *testing.T) {
	whole := message(TCP, nl.CTA_PROTOINFO_TCP, tcpTimeWait)
	if e, ok := parse(whole); !ok || line(e) != "tcp 192.0.2.99:1 192.0.2.10:2 10.0.0.1:1 192.0.2.99:2" || e.SeenReply {
		t.Errorf("read %+v, %v", e, ok)
	}
	status := binary.BigEndian.AppendUint32(nil, 0xf) // IPS_SEEN_REPLY among others
	if e, _ := parse(appendAttribute(whole, nl.CTA_STATUS, status)); !e.SeenReply {
		t.Errorf("read %+v", e)
	}
	if e, ok := parse(whole[:40]); ok {
		t.Errorf("half of it is read as %+v", e)
	}
}

// TestEnded tells by the state of each protocol what is over.
func TestEnded(t *testing.T) {
	for _, c := range []struct {
		protocol     Protocol
		info         uint16
		state        uint8
		ended, waits bool
	}{
		{TCP, nl.CTA_PROTOINFO_TCP, nl.TCP_CONNTRACK_ESTABLISHED, false, false},
		{TCP, nl.CTA_PROTOINFO_TCP, nl.TCP_CONNTRACK_FIN_WAIT, false, false},
		{TCP, nl.CTA_PROTOINFO_TCP, nl.TCP_CONNTRACK_TIME_WAIT, true, true},
		{TCP, nl.CTA_PROTOINFO_TCP, nl.TCP_CONNTRACK_CLOSE, true, false},
		{SCTP, nl.CTA_PROTOINFO_SCTP, 1, true, false},  // SCTP_CONNTRACK_CLOSED
		{SCTP, nl.CTA_PROTOINFO_SCTP, 4, false, false}, // SCTP_CONNTRACK_ESTABLISHED
		{SCTP, nl.CTA_PROTOINFO_SCTP, 7, true, false},  // SCTP_CONNTRACK_SHUTDOWN_ACK_SENT
		{unix.IPPROTO_DCCP, nl.CTA_PROTOINFO_DCCP, 7, false, false},
		{UDP, 0, 0, false, false},
	} {
		e, ok := parse(message(c.protocol, c.info, c.state))
		if !ok || e.Ended() != c.ended || e.Waits() != c.waits {
			t.Errorf("%v %d: %+v: ended %v, waits %v", c.protocol, c.state, e, e.Ended(), e.Waits())
		}
	}
}
