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
// Of a connection that another balancer had, the first packet here may be the backend's. Then
// the backend is OrigSrc, and only its source is rewritten: see turned.
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

// The state of a connection of which the kernel saw the first packet, and no answer; and those
// in which both ends have said goodbye.
const (
	tcpSynSent                      = nl.TCP_CONNTRACK_SYN_SENT
	tcpTimeWait, tcpClose           = nl.TCP_CONNTRACK_TIME_WAIT, nl.TCP_CONNTRACK_CLOSE
	sctpClosed, sctpShutdownAckSent = 1, 7
)

// Translated tells whether the entry's packets go elsewhere than the client asked.
func (e Entry) Translated() bool { return e.ReplySrc != e.OrigDst }

// turned returns an entry whose source alone is rewritten as it would be if the other end had
// begun it: so it is that of a client's connection, if a backend began in place of the client.
func (e Entry) turned() (turned Entry, ok bool) {
	turned = e
	turned.OrigSrc, turned.OrigDst, turned.ReplySrc, turned.ReplyDst = e.OrigDst, e.ReplyDst, e.OrigSrc, e.ReplySrc
	turned.SeenReply = true // the backend speaks
	return turned, !e.Translated() && e.ReplyDst != e.OrigSrc
}

// unanswered tells whether the connection is none yet. One that was picked up in the middle is
// open, although nothing may have come back so far.
func (e Entry) unanswered() bool { return e.Protocol == TCP && !e.SeenReply && e.State == tcpSynSent }

// Ended tells whether the connection itself is over, and the entry only waits to be
// forgotten.
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
