package restore

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"natspread/internal/netnstest"
	"natspread/nat"
)

// tcpEstablished is a state of conntrack's.
const tcpEstablished = nl.TCP_CONNTRACK_ESTABLISHED

// track puts an entry into connection tracking: "tcp 192.0.2.99:1234 192.0.2.10:80
// 10.0.0.1:80" is protocol, client, what it asked for and who answers. TCP is
// established, unless a state is given.
func track(t testing.TB, line string, state ...uint8) {
	t.Helper()
	words := strings.Fields(line)
	client, asked, answers := netip.MustParseAddrPort(words[1]), netip.MustParseAddrPort(words[2]), netip.MustParseAddrPort(words[3])
	var number uint8
	for n, name := range protocols {
		if name == words[0] {
			number = n
		}
	}
	flow := &netlink.ConntrackFlow{
		FamilyType: unix.AF_INET, TimeOut: 600,
		Forward: netlink.IPTuple{Protocol: number, SrcIP: client.Addr().AsSlice(), SrcPort: client.Port(), DstIP: asked.Addr().AsSlice(), DstPort: asked.Port()},
		Reverse: netlink.IPTuple{Protocol: number, SrcIP: answers.Addr().AsSlice(), SrcPort: answers.Port(), DstIP: client.Addr().AsSlice(), DstPort: client.Port()},
	}
	if client.Addr().Is6() {
		flow.FamilyType = unix.AF_INET6
	}
	if words[0] == "tcp" {
		flow.ProtoInfo = &netlink.ProtoInfoTCP{State: append(state, tcpEstablished)[0]}
	}
	if err := netlink.ConntrackCreate(netlink.ConntrackTable, netlink.InetFamily(flow.FamilyType), flow); err != nil {
		t.Fatalf("cannot track %s: %v", line, err)
	}
}

// trackedLines lists the entries of both families in the form of track, in order.
func trackedLines(t testing.TB) []string {
	t.Helper()
	var lines []string
	for _, family := range nat.Families() {
		err := eachEntry(t.Context(), family, func(e entry) {
			lines = append(lines, strings.Join([]string{e.protocol, e.client.String(), e.asked.String(), e.answers.String()}, " "))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(lines)
	return lines
}

// withoutPort drops the client's port from a line of track's.
func withoutPort(line string) string {
	words := strings.Fields(line)
	words[1] = netip.MustParseAddrPort(words[1]).Addr().String()
	return strings.Join(words, " ")
}

// pool returns a pool: "tcp 192.0.2.10 80 80" is protocol, address or "*", and the
// ends of the ports.
func pool(protocol, address string, first, last uint16, reset bool, backends ...string) nat.Pool {
	made := nat.Pool{Protocol: protocol, Ports: nat.Ports{First: first, Last: last}, Reset: reset}
	if address != "*" {
		made.Address = netip.MustParseAddr(address)
	}
	for _, backend := range backends {
		made.Backends = append(made.Backends, netip.MustParseAddrPort(backend))
	}
	return made
}

// TestSettle has real entries of every kind, of which just those go that a change
// of the pools makes false.
func TestSettle(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "addr add 192.0.2.10/32 dev lo\naddr add 2001:db8::10/128 dev lo nodad\nroute add local 198.51.100.0/24 dev lo\n", "ip", "-batch", "-")
	const drain, reset = false, true
	before := []nat.Pool{
		pool("udp", "192.0.2.10", 80, 80, drain, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"),
		pool("tcp", "192.0.2.10", 80, 80, drain, "10.0.0.1:80", "10.0.0.2:80"),
		pool("tcp", "192.0.2.10", 81, 81, drain, "10.0.0.1:80", "10.0.0.2:80"),
		pool("tcp", "192.0.2.10", 82, 82, reset, "10.0.0.1:80"),
		pool("tcp", "192.0.2.10", 83, 83, drain, "10.0.0.1:80"),
		pool("sctp", "192.0.2.10", 80, 80, reset, "10.0.0.1:80", "10.0.0.2:80"),
		pool("sctp", "192.0.2.10", 81, 81, reset, "10.0.0.1:80", "10.0.0.2:80"),
		pool("udp", "192.0.2.10", 8000, 8010, drain, "10.0.0.1:0"),
		pool("udp", "*", 53, 53, drain, "10.0.0.1:53"),
		pool("udp", "*", 54, 54, drain, "10.0.0.1:0"),
		pool("udp", "2001:db8::10", 80, 80, drain, "[fd00::1]:80", "[fd00::2]:80"),
	}
	after := []nat.Pool{
		pool("udp", "192.0.2.10", 80, 80, drain, "10.0.0.3:80", "10.0.0.2:80"),
		pool("tcp", "192.0.2.10", 80, 80, drain, "10.0.0.2:80"),
		pool("tcp", "192.0.2.10", 81, 81, reset, "10.0.0.2:80"),
		pool("sctp", "192.0.2.10", 80, 80, reset, "10.0.0.2:80"),
		pool("sctp", "192.0.2.10", 81, 81, reset, "10.0.0.1:80", "10.0.0.2:80"),
		pool("udp", "192.0.2.10", 8005, 8010, drain, "10.0.0.1:0"),
		pool("udp", "192.0.2.10", 53, 53, drain, "10.0.0.1:53"),
		pool("udp", "*", 54, 54, drain, "10.0.0.1:54"),
		pool("udp", "2001:db8::10", 80, 80, drain, "[fd00::2]:80"),
	}
	stays := []string{
		"udp 192.0.2.99:1001 192.0.2.10:80 10.0.0.2:80",     // still there
		"udp 192.0.2.99:1002 192.0.2.10:80 10.0.0.1:81",     // nobody's of ours
		"udp 192.0.2.99:1003 192.0.2.10:80 10.0.0.9:80",     // nobody's of ours
		"udp 192.0.2.99:1004 192.0.2.11:80 10.0.0.1:80",     // an address that was never ours
		"tcp 192.0.2.99:1001 192.0.2.10:80 10.0.0.1:80",     // drains
		"tcp 192.0.2.99:1002 192.0.2.10:81 10.0.0.2:80",     // still there
		"tcp 192.0.2.99:1003 192.0.2.10:83 10.0.0.1:80",     // the whole service drains
		"sctp 192.0.2.99:1001 192.0.2.10:80 10.0.0.2:80",    // still there
		"sctp 192.0.2.99:1002 192.0.2.10:81 10.0.0.1:80",    // the neighbour at the same backend
		"udp 192.0.2.99:1005 192.0.2.10:8005 10.0.0.1:8005", // the port is kept
		"udp 192.0.2.99:1006 192.0.2.10:8004 10.0.0.1:8005", // it was not kept: nobody's of ours
		"udp 192.0.2.99:1007 192.0.2.10:53 10.0.0.1:53",     // "*" became this address
		"udp 192.0.2.99:1008 192.0.2.200:53 10.0.0.1:53",    // passes through: "*" is not it
		"udp 192.0.2.99:1009 198.51.100.7:54 10.0.0.1:54",   // a port that was kept is now given
		"udp [2001:db8::99]:1001 [2001:db8::10]:80 [fd00::2]:80",
		"udp 192.0.2.99:1010 192.0.2.10:80 192.0.2.10:80", // without a table nothing is missed
	}
	goes := []string{
		"udp 192.0.2.99:2001 192.0.2.10:80 10.0.0.1:80",
		"tcp 192.0.2.99:2001 192.0.2.10:81 10.0.0.1:80", // as the new config says
		"tcp 192.0.2.99:2002 192.0.2.10:82 10.0.0.1:80", // as the old one said
		"sctp 192.0.2.99:2001 192.0.2.10:80 10.0.0.1:80",
		"udp 192.0.2.99:2002 192.0.2.10:8004 10.0.0.1:8004",
		"udp 192.0.2.99:2003 198.51.100.7:53 10.0.0.1:53", // "*", by a prefix that is local
		"udp [2001:db8::99]:2001 [2001:db8::10]:80 [fd00::1]:80",
	}
	for _, line := range slices.Concat(stays, goes) {
		track(t, line)
	}
	want := make([]string, len(stays))
	for i, line := range stays {
		want[i] = withoutPort(line)
	}
	slices.Sort(want)
	change := settlement{tables: noTables(), before: indexPools(before), after: indexPools(after)}
	if deleted, err := change.settle(t.Context()); err != nil || deleted != len(goes) {
		t.Errorf("%d deleted, %v; want %d", deleted, err, len(goes))
	}
	if diff := cmp.Diff(want, trackedLines(t)); diff != "" {
		t.Errorf("want -, left +:\n%s", diff)
	}
}

// TestDeleteEntries deletes what is still there, and is content with what is gone.
func TestDeleteEntries(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	const line = "udp 192.0.2.99:1001 192.0.2.10:80 10.0.0.1:80"
	read := func() (all []entry) {
		if err := eachEntry(t.Context(), nat.IPv4, func(e entry) { all = append(all, e) }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	track(t, line)
	entries := read()
	for _, want := range []int{1, 0} {
		if deleted, err := deleteEntries(t.Context(), nat.IPv4, entries); err != nil || deleted != want {
			t.Errorf("deleted %d, %v; want %d", deleted, err, want)
		}
	}
}

// TestDeleteMany deletes more than one message of the kernel's holds.
func TestDeleteMany(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	const many = 3000
	client := netip.MustParseAddr("192.0.2.99")
	for i := range many {
		track(t, "udp "+netip.AddrPortFrom(client, uint16(1024+i)).String()+" 192.0.2.10:80 10.0.0.1:80")
	}
	track(t, "udp 192.0.2.99:1000 192.0.2.10:80 10.0.0.2:80")
	change := settlement{
		tables: noTables(),
		before: indexPools([]nat.Pool{pool("udp", "192.0.2.10", 80, 80, false, "10.0.0.1:80", "10.0.0.2:80")}),
		after:  indexPools([]nat.Pool{pool("udp", "192.0.2.10", 80, 80, false, "10.0.0.2:80")}),
	}
	deleted, err := change.settle(t.Context())
	if left := trackedLines(t); err != nil || deleted != many || len(left) != 1 {
		t.Errorf("%d deleted, %d left, %v; want %d and 1", deleted, len(left), err, many)
	}
}

// message builds what the kernel says of an entry.
func message() []byte {
	port := func(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }
	tuple := func(kind uint16, source, destination [4]byte) []byte {
		var addresses, ports, whole []byte
		addresses = appendAttribute(addresses, nl.CTA_IP_V4_SRC, source[:])
		addresses = appendAttribute(addresses, nl.CTA_IP_V4_DST, destination[:])
		ports = appendAttribute(ports, nl.CTA_PROTO_NUM, []byte{unix.IPPROTO_TCP})
		ports = appendAttribute(ports, nl.CTA_PROTO_SRC_PORT, port(1))
		ports = appendAttribute(ports, nl.CTA_PROTO_DST_PORT, port(2))
		whole = appendAttribute(whole, nl.CTA_TUPLE_IP|nl.NLA_F_NESTED, addresses)
		whole = appendAttribute(whole, nl.CTA_TUPLE_PROTO|nl.NLA_F_NESTED, ports)
		return appendAttribute(nil, kind|nl.NLA_F_NESTED, whole)
	}
	state := appendAttribute(nil, nl.CTA_PROTOINFO_TCP|nl.NLA_F_NESTED, appendAttribute(nil, nl.CTA_PROTOINFO_TCP_STATE, []byte{tcpTimeWait}))
	return slices.Concat([]byte{unix.AF_INET, 0, 0, 0},
		tuple(nl.CTA_TUPLE_ORIG, [4]byte{192, 0, 2, 99}, [4]byte{192, 0, 2, 10}),
		tuple(nl.CTA_TUPLE_REPLY, [4]byte{10, 0, 0, 1}, [4]byte{192, 0, 2, 99}),
		appendAttribute(nil, nl.CTA_PROTOINFO|nl.NLA_F_NESTED, state))
}

// FuzzParseEntry holds the reader to the bounds of whatever it is given.
func FuzzParseEntry(f *testing.F) {
	whole := message()
	for end := range len(whole) {
		f.Add(whole[:end])
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		found, ok := parseEntry(data)
		if ok && (found.protocol == "" || !found.client.IsValid() || !found.asked.IsValid() || !found.answers.IsValid()) {
			t.Errorf("%x is read as %+v", data, found)
		}
		if ok && !hasTuple(found.key()) {
			t.Errorf("%x gets the key %x, which deletes everything", data, found.key())
		}
	})
}

// hasTuple tells whether a key names one entry.
func hasTuple(key []byte) bool {
	for kind := range attributes(key) {
		if kind == nl.CTA_TUPLE_ORIG {
			return true
		}
	}
	return false
}

// TestParseEntry reads a message, whole and then without its end.
func TestParseEntry(t *testing.T) {
	found, ok := parseEntry(message())
	if !ok || found.protocol != "tcp" || found.client.String() != "192.0.2.99" || found.asked.String() != "192.0.2.10:2" ||
		found.answers.String() != "10.0.0.1:1" || !found.ended {
		t.Errorf("read %+v, %v", found, ok)
	}
	if found, ok := parseEntry(message()[:40]); ok {
		t.Errorf("half of it is read as %+v", found)
	}
}

// TestConntrackCause tells missing rights and a missing module by the kernel's
// errors, which callers turn into exit codes.
func TestConntrackCause(t *testing.T) {
	for failed, want := range map[error]error{
		unix.EPERM:           ErrNoRights,
		unix.EINVAL:          ErrMissing, // of nfnetlink for a subsystem that is not there
		unix.EPROTONOSUPPORT: ErrMissing, // of socket(2) without nfnetlink
		unix.ENOBUFS:         unix.ENOBUFS,
	} {
		if got := conntrackCause(failed); !errors.Is(got, want) || !errors.Is(got, failed) {
			t.Errorf("%v is %v, not %v", failed, got, want)
		}
	}
}
