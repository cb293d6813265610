package flows

import (
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Entry is one entry of the kernel's connection tracking: a connection, or what
// conntrack takes for one, both ways of it. A protocol without ports has 0 for them.
//
// If another balancer had a connection before, its first packet here may be one of the backend.
// Then the backend is OrigSrc, and only the source is rewritten: see inverted.
type Entry struct {
	Protocol  Protocol
	OrigSrc   netip.AddrPort // who began it
	OrigDst   netip.AddrPort // what the client asked for
	ReplySrc  netip.AddrPort // who answers: after DNAT the backend
	ReplyDst  netip.AddrPort // whom the answerer sees: after SNAT not the client
	SeenReply bool           // packets went both ways (IPS_SEEN_REPLY)
	State     uint8          // of TCP and SCTP: enum tcp_conntrack, enum sctp_conntrack of the kernel's headers
}

// Protocol is a protocol over IP, by IANA's number.
type Protocol uint8

// The protocols that a rule of the nat table can give another port.
const (
	TCP  Protocol = unix.IPPROTO_TCP
	UDP  Protocol = unix.IPPROTO_UDP
	SCTP Protocol = unix.IPPROTO_SCTP
)

// String returns the name that iptables has for one with ports, or the number.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return strconv.Itoa(int(p))
}

// The state of a connection of which the kernel saw a SYN and no answer, and the states in
// which both ends have closed.
const (
	tcpSynSent                      = nl.TCP_CONNTRACK_SYN_SENT
	tcpTimeWait, tcpClose           = nl.TCP_CONNTRACK_TIME_WAIT, nl.TCP_CONNTRACK_CLOSE
	sctpClosed, sctpShutdownAckSent = 1, 7
)

// Translated tells whether the entry's packets go elsewhere than the client asked.
func (e Entry) Translated() bool { return e.ReplySrc != e.OrigDst }

// inverted returns the entry as it would be if the other end had begun the connection. ok tells
// whether only the source is rewritten: then a backend may have begun in place of its client,
// and the inverted entry is that of the client's connection.
func (e Entry) inverted() (inverted Entry, ok bool) {
	inverted = e
	inverted.OrigSrc, inverted.OrigDst, inverted.ReplySrc, inverted.ReplyDst = e.OrigDst, e.ReplyDst, e.OrigSrc, e.ReplySrc
	inverted.SeenReply = true // the backend speaks
	return inverted, !e.Translated() && e.ReplyDst != e.OrigSrc
}

// unanswered tells whether a client's SYN has had no answer so far. A TCP connection that
// conntrack picked up in the middle is open, also before anything comes back.
func (e Entry) unanswered() bool { return e.Protocol == TCP && !e.SeenReply && e.State == tcpSynSent }

// Ended tells whether the connection itself is over, and only its entry is still there.
func (e Entry) Ended() bool {
	switch e.Protocol {
	case TCP:
		return e.State == tcpTimeWait || e.State == tcpClose
	case SCTP:
		return e.State == sctpClosed || e.State == sctpShutdownAckSent
	}
	return false
}

// Waits tells whether the connection is over and keeps its ports for a while:
// net.netfilter.nf_conntrack_tcp_timeout_time_wait, 120 s.
func (e Entry) Waits() bool { return e.Protocol == TCP && e.State == tcpTimeWait }
