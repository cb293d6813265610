package netnstest

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// trackedProtocols are the numbers of what Track can have.
var trackedProtocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// Track puts entries into connection tracking of the calling test's namespace, unless
// they are there: "tcp 192.0.2.99:1234 192.0.2.10:80 10.0.0.1:80 192.0.2.10:1234" is
// protocol, client, what it asked for, who answers, and whom; without the last word
// the client. TCP is in a state of enum tcp_conntrack.
func Track(t testing.TB, state uint8, lines ...string) {
	t.Helper()
	handle, err := netlink.NewHandle(unix.NETLINK_NETFILTER) // a socket for each entry takes long
	if err != nil {
		t.Fatalf("cannot reach connection tracking: %v", err)
	}
	defer handle.Close()
	for _, line := range lines {
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
		err := handle.ConntrackCreate(netlink.ConntrackTable, netlink.InetFamily(flow.FamilyType), flow)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			t.Fatalf("cannot track %s: %v", line, err)
		}
	}
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
