package netnstest

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// trackedProtocols are the numbers of what Track can have.
var trackedProtocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// Track puts entries into connection tracking of the calling test's namespace, unless
// they are there: "tcp 192.0.2.99:1234 192.0.2.10:80 10.0.0.1:80 192.0.2.10:1234" is
// protocol, client, what it asked for, who answers, and whom; without the last word
// the client. TCP is in a state of enum tcp_conntrack. None of them was answered yet.
func Track(t testing.TB, state uint8, lines ...string) {
	t.Helper()
	track(t, state, lines, func(*netlink.ConntrackFlow) error { return nil })
}

// TrackAnswered is Track for connections that were answered.
func TrackAnswered(t testing.TB, state uint8, lines ...string) {
	t.Helper()
	track(t, state, lines, func(flow *netlink.ConntrackFlow) error { return setStatus(flow, seenReply) })
}

// track is Track that does something with each entry.
func track(t testing.TB, state uint8, lines []string, do func(*netlink.ConntrackFlow) error) {
	t.Helper()
	handle, err := netlink.NewHandle(unix.NETLINK_NETFILTER) // a socket for each entry takes long
	if err != nil {
		t.Fatalf("cannot reach connection tracking: %v", err)
	}
	defer handle.Close()
	for _, line := range lines {
		flow := flowOf(line, state)
		err := handle.ConntrackCreate(netlink.ConntrackTable, netlink.InetFamily(flow.FamilyType), flow)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err == nil {
			err = do(flow)
		}
		if err != nil {
			t.Fatalf("cannot track %s: %v", line, err)
		}
	}
}

// flowOf reads a line of Track.
func flowOf(line string, state uint8) *netlink.ConntrackFlow {
	words := strings.Fields(line)
	client, asked, answerer := netip.MustParseAddrPort(words[1]), netip.MustParseAddrPort(words[2]), netip.MustParseAddrPort(words[3])
	answered := netip.MustParseAddrPort(append(words, words[1])[4])
	number := trackedProtocols[words[0]]
	flow := &netlink.ConntrackFlow{FamilyType: unix.AF_INET, TimeOut: 600, Forward: tuple(number, client, asked), Reverse: tuple(number, answerer, answered)}
	if client.Addr().Is6() {
		flow.FamilyType = unix.AF_INET6
	}
	if number == unix.IPPROTO_TCP {
		flow.ProtoInfo = &netlink.ProtoInfoTCP{State: state}
	}
	return flow
}

// seenReply is IPS_SEEN_REPLY of linux/netfilter/nf_conntrack_common.h, with IPS_CONFIRMED,
// which each entry has, and which nobody may take away.
const seenReply = 1<<1 | 1<<3

// setStatus sets bits of an entry's status, which the library cannot.
func setStatus(flow *netlink.ConntrackFlow, bits uint32) error {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_NEW, unix.NLM_F_ACK)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: flow.FamilyType, Version: nl.NFNETLINK_V0})
	source, destination := nl.CTA_IP_V4_SRC, nl.CTA_IP_V4_DST
	if flow.FamilyType == unix.AF_INET6 {
		source, destination = nl.CTA_IP_V6_SRC, nl.CTA_IP_V6_DST
	}
	key := nl.NewRtAttr(nl.CTA_TUPLE_ORIG|unix.NLA_F_NESTED, nil)
	ip := key.AddRtAttr(nl.CTA_TUPLE_IP|unix.NLA_F_NESTED, nil)
	ip.AddRtAttr(source, flow.Forward.SrcIP)
	ip.AddRtAttr(destination, flow.Forward.DstIP)
	protocol := key.AddRtAttr(nl.CTA_TUPLE_PROTO|unix.NLA_F_NESTED, nil)
	protocol.AddRtAttr(nl.CTA_PROTO_NUM, []byte{flow.Forward.Protocol})
	protocol.AddRtAttr(nl.CTA_PROTO_SRC_PORT, binary.BigEndian.AppendUint16(nil, flow.Forward.SrcPort))
	protocol.AddRtAttr(nl.CTA_PROTO_DST_PORT, binary.BigEndian.AppendUint16(nil, flow.Forward.DstPort))
	request.AddData(key)
	request.AddData(nl.NewRtAttr(nl.CTA_STATUS, binary.BigEndian.AppendUint32(nil, bits)))
	_, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	return err
}

// ForgetConnections empties connection tracking of the calling test's namespace, as
// "conntrack -F" does: the next packet of each connection meets the rules.
func ForgetConnections(t testing.TB) {
	t.Helper()
	if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		t.Fatalf("cannot empty connection tracking: %v", err)
	}
}

// tuple is one way of an entry.
func tuple(protocol uint8, from, to netip.AddrPort) netlink.IPTuple {
	return netlink.IPTuple{Protocol: protocol, SrcIP: from.Addr().AsSlice(), SrcPort: from.Port(), DstIP: to.Addr().AsSlice(), DstPort: to.Port()}
}
