package restore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"natspread/nat"
)

// entry is one entry of the kernel's connection tracking: a connection, or what
// conntrack takes for one.
type entry struct {
	protocol string         // tcp, udp, sctp
	client   netip.Addr     // who began it
	asked    netip.AddrPort // what the client asked for
	answers  netip.AddrPort // who answers: after DNAT the backend
	ended    bool           // only waits to be forgotten
	raw      []byte         // its attributes, as the kernel gave them
}

// translated tells whether the entry's packets go elsewhere than the client asked.
func (e entry) translated() bool { return e.answers != e.asked }

// protocols maps numbers to the protocols that a rule of ours can have.
var protocols = map[uint8]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_SCTP: "sctp"}

// conntrackRequest returns a request to ctnetlink
// (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
func conntrackRequest(family nat.Family, operation, flags int) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|operation, flags)
	header := &nl.Nfgenmsg{NfgenFamily: unix.AF_INET, Version: nl.NFNETLINK_V0}
	if family == nat.IPv6 {
		header.NfgenFamily = unix.AF_INET6
	}
	request.AddData(header)
	return request
}

// eachEntry hands every entry of a family with ports to a function, in one dump.
// The library's own list knows no ports of SCTP, and holds the whole table at once.
func eachEntry(ctx context.Context, family nat.Family, do func(entry)) error {
	if none() {
		return nil
	}
	request := conntrackRequest(family, nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	err := request.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
		if found, ok := parseEntry(message); ok {
			do(found)
		}
		return ctx.Err() == nil
	})
	if err == nil || errors.Is(err, nl.ErrDumpInterrupted) { // entries come and go under any dump
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot read connection tracking: %w", conntrackCause(err))
	}
	return nil
}

// none tells whether this network namespace has no entries at all: to hear that by a dump
// the kernel goes through a table that all namespaces share, which takes a while.
func none() bool {
	count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	return err == nil && string(count) == "0\n"
}

// conntrackCause turns the errors that the kernel has for missing rights and for
// a missing nf_conntrack_netlink into those that callers know.
func conntrackCause(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", ErrNoRights, err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w kernel module nf_conntrack_netlink: %w", ErrMissing, err)
	}
	return err
}

// deleteEntries deletes entries of a family and returns how many. One that is gone
// by itself meanwhile is no error.
func deleteEntries(ctx context.Context, family nat.Family, entries []entry) (deleted int, err error) {
	if len(entries) == 0 {
		return 0, nil
	}
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER) // one for all, bound to no group
	if err != nil {
		return 0, fmt.Errorf("cannot reach connection tracking: %w", err)
	}
	defer socket.Close()
	if err := errors.Join(socket.SetSendTimeout(&nl.SocketTimeoutTv), socket.SetReceiveTimeout(&nl.SocketTimeoutTv)); err != nil {
		return 0, fmt.Errorf("cannot reach connection tracking: %w", err)
	}
	shared := map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: socket}}
	var failures []error
	for _, doomed := range entries {
		if err := ctx.Err(); err != nil {
			return deleted, errors.Join(append(failures, err)...)
		}
		request := conntrackRequest(family, nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK)
		request.Sockets = shared
		request.AddRawData(doomed.key())
		switch _, err := request.Execute(unix.NETLINK_NETFILTER, 0); {
		case err == nil:
			deleted++
		case !errors.Is(err, unix.ENOENT):
			failures = append(failures, err)
		}
	}
	if len(failures) > 0 {
		return deleted, fmt.Errorf("cannot delete %d of %d connection tracking entries: %w", len(failures), len(entries), conntrackCause(failures[0]))
	}
	return deleted, nil
}

// parseEntry reads a message of ctnetlink; false for protocols without a rule of ours.
func parseEntry(message []byte) (found entry, ok bool) {
	if len(message) < nl.SizeofNfgenmsg {
		return entry{}, false
	}
	found.raw = message[nl.SizeofNfgenmsg:]
	for kind, value := range attributes(found.raw) {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			original := parseTuple(value)
			found.protocol = protocols[original.protocol]
			found.client, found.asked = original.source.Addr(), original.destination
		case nl.CTA_TUPLE_REPLY:
			found.answers = parseTuple(value).source
		case nl.CTA_PROTOINFO:
			found.ended = ended(value)
		}
	}
	return found, found.protocol != "" && found.client.IsValid() && found.asked.IsValid() && found.answers.IsValid()
}

// key returns the attributes by which the kernel finds an entry again. Without
// CTA_TUPLE_ORIG, which each entry that was read has, it would delete all there are.
func (e entry) key() []byte {
	var key []byte
	for kind, value := range attributes(e.raw) {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			key = appendAttribute(key, kind|nl.NLA_F_NESTED, value)
		case nl.CTA_ZONE, nl.CTA_ID:
			key = appendAttribute(key, kind, value)
		}
	}
	return key
}

// tuple is one direction of an entry.
type tuple struct {
	protocol            uint8
	source, destination netip.AddrPort
}

// parseTuple reads CTA_TUPLE_ORIG or CTA_TUPLE_REPLY.
func parseTuple(b []byte) tuple {
	var read tuple
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
				read.protocol = value[0]
			case part == nl.CTA_TUPLE_PROTO && kind == nl.CTA_PROTO_SRC_PORT && len(value) == 2:
				sourcePort = binary.BigEndian.Uint16(value)
			case part == nl.CTA_TUPLE_PROTO && kind == nl.CTA_PROTO_DST_PORT && len(value) == 2:
				destinationPort = binary.BigEndian.Uint16(value)
			}
		}
	}
	read.source = netip.AddrPortFrom(source, sourcePort)
	read.destination = netip.AddrPortFrom(destination, destinationPort)
	return read
}

// States of conntrack in which both ends have said goodbye (enum tcp_conntrack and
// enum sctp_conntrack of the kernel's headers).
const (
	tcpTimeWait, tcpClose           = nl.TCP_CONNTRACK_TIME_WAIT, nl.TCP_CONNTRACK_CLOSE
	sctpClosed, sctpShutdownAckSent = 1, 7
)

// ended tells by CTA_PROTOINFO whether the connection itself is over.
func ended(b []byte) bool {
	for protocol, nested := range attributes(b) {
		for kind, value := range attributes(nested) {
			if kind != nl.CTA_PROTOINFO_TCP_STATE || len(value) != 1 { // CTA_PROTOINFO_SCTP_STATE is 1, too
				continue
			}
			state := value[0]
			switch protocol {
			case nl.CTA_PROTOINFO_TCP:
				return state == tcpTimeWait || state == tcpClose
			case nl.CTA_PROTOINFO_SCTP:
				return state == sctpClosed || state == sctpShutdownAckSent
			}
		}
	}
	return false
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

// appendAttribute appends an attribute of that type.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	length := nl.SizeofNfattr + len(value)
	b = binary.NativeEndian.AppendUint16(b, uint16(length))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, aligned(length)-length)...)
}

// aligned rounds a length up to where the next attribute begins.
func aligned(length int) int { return (length + attributeAlign - 1) &^ (attributeAlign - 1) }
