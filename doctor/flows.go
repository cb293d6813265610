package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"natspread/nat"
)

// flow is a connection that the kernel tracks, and both ways of which it knows.
type flow struct {
	protocol uint8
	from, to netip.AddrPort // as it was asked
	answerer netip.AddrPort // who answers
	answered netip.AddrPort // to whom
	answers  bool           // an answer was seen
	waits    bool           // TCP that is over, and keeps its ports for a while
}

// What conntrack tells of a connection (nf_conntrack_common.h, nf_conntrack_tcp.h,
// nfnetlink_conntrack.h). netlink.ConntrackTableList knows no status, and keeps all of
// a table that may have millions.
const (
	seenReply   = 1 << 1 // of CTA_STATUS
	tcpTimeWait = 7      // of CTA_PROTOINFO_TCP_STATE

	tupleIP, tupleProto        = 1, 2    // of CTA_TUPLE_ORIG and CTA_TUPLE_REPLY
	protoNum, portSrc, portDst = 1, 2, 3 // of CTA_TUPLE_PROTO
	protoTCP, tcpState         = 1, 1    // of CTA_PROTOINFO and what is in it
)

// ipAttributes are those of CTA_TUPLE_IP: source and destination.
var ipAttributes = [2][2]uint16{nat.IPv4: {1, 2}, nat.IPv6: {3, 4}}

// readFlows returns the connections of a family that are worth keeping, of those in
// the network namespace of the calling thread.
func readFlows(family nat.Family, keep func(flow) bool) ([]flow, error) {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: uint8(inFamily(family)), Version: nl.NFNETLINK_V0})
	var flows []flow
	var wrong error
	err := request.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
		f, err := parseFlow(family, message)
		if err != nil {
			wrong = fmt.Errorf("cannot read a connection: %w", err)
			return false
		}
		if keep(f) {
			flows = append(flows, f)
		}
		return true
	})
	if errors.Is(err, nl.ErrDumpInterrupted) { // it changed while it was read
		err = nil
	}
	return flows, errors.Join(err, wrong)
}

// parseFlow reads a message of the kernel's: a struct nfgenmsg and attributes.
func parseFlow(family nat.Family, message []byte) (flow, error) {
	all, err := attributes(message[min(len(message), nl.SizeofNfgenmsg):])
	if err != nil {
		return flow{}, err
	}
	var f flow
	if f.protocol, f.from, f.to, err = parseTuple(family, all[nl.CTA_TUPLE_ORIG]); err != nil {
		return flow{}, err
	}
	if _, f.answerer, f.answered, err = parseTuple(family, all[nl.CTA_TUPLE_REPLY]); err != nil {
		return flow{}, err
	}
	if status := all[nl.CTA_STATUS]; len(status) == 4 {
		f.answers = binary.BigEndian.Uint32(status)&seenReply != 0
	}
	info, err := attributes(all[nl.CTA_PROTOINFO])
	if err != nil {
		return flow{}, err
	}
	tcp, err := attributes(info[protoTCP])
	f.waits = f.protocol == unix.IPPROTO_TCP && len(tcp[tcpState]) == 1 && tcp[tcpState][0] == tcpTimeWait
	return f, err
}

// attributes returns the values of attributes by their type.
func attributes(data []byte) (map[uint16][]byte, error) {
	parsed, err := nl.ParseRouteAttr(data)
	if err != nil {
		return nil, err
	}
	values := make(map[uint16][]byte, len(parsed))
	for _, a := range parsed {
		values[a.Attr.Type&nl.NLA_TYPE_MASK] = a.Value
	}
	return values, nil
}

// parseTuple reads one way of a connection. ICMP has no ports: they are 0.
func parseTuple(family nat.Family, data []byte) (protocol uint8, source, destination netip.AddrPort, err error) {
	tuple, err := attributes(data)
	if err != nil {
		return 0, source, destination, err
	}
	ip, err := attributes(tuple[tupleIP])
	proto, err2 := attributes(tuple[tupleProto])
	if err = errors.Join(err, err2); err != nil {
		return 0, source, destination, err
	}
	if number := proto[protoNum]; len(number) == 1 {
		protocol = number[0]
	}
	end := func(addr, port uint16) netip.AddrPort {
		address, _ := netip.AddrFromSlice(ip[addr])
		number := uint16(0)
		if len(proto[port]) == 2 {
			number = binary.BigEndian.Uint16(proto[port])
		}
		return netip.AddrPortFrom(address, number)
	}
	of := ipAttributes[family]
	return protocol, end(of[0], portSrc), end(of[1], portDst), nil
}

// concerns returns what tells whether a connection has to do with the balancer.
func (b Balancer) concerns() func(flow) bool {
	ours := map[netip.Addr]bool{}
	for _, service := range b.Services {
		for _, listen := range service.Listen {
			ours[listen.Addr] = true
		}
		for _, backend := range service.Backends {
			ours[backend.Addr()] = true
		}
		ours[service.Source.Addr] = true
	}
	return func(f flow) bool {
		return ours[f.to.Addr()] || ours[f.answerer.Addr()] || ours[f.answered.Addr()]
	}
}

// cameHere tells whether a connection was made from elsewhere to an address, or answered
// there.
func (e examination) cameHere(addr netip.Addr) bool {
	return slices.ContainsFunc(e.flows[nat.FamilyOf(addr)], func(f flow) bool {
		_, own := e.network.holder(f.from.Addr())
		return f.to.Addr() == addr && !own || f.answered.Addr() == addr && f.answers
	})
}

// answeredBy tells whether a backend was seen to answer a balanced connection whose
// client it knows by its own address.
func (e examination) answeredBy(backend netip.Addr) bool {
	return slices.ContainsFunc(e.flows[nat.FamilyOf(backend)], func(f flow) bool {
		return f.answers && f.answerer.Addr() == backend && f.to != f.answerer && f.answered == f.from
	})
}
