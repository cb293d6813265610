package network

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// The layout of the messages of linux/inet_diag.h: struct inet_diag_req_v2 and inet_diag_msg.
const (
	diagRequestSize = 56
	diagMessageSize = 72
	diagListen      = 1 << 10 // TCPF_LISTEN
)

// diagRequest asks for the TCP sockets of a family that listen.
type diagRequest struct{ family byte }

// Len returns the size of the request.
func (diagRequest) Len() int { return diagRequestSize }

// Serialize returns the request. Of the rest of it, which names one socket, nothing is set.
func (r diagRequest) Serialize() []byte {
	b := make([]byte, diagRequestSize)
	b[0], b[1] = r.family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], diagListen)
	return b
}

// errDiag says that the kernel answered something else.
var errDiag = errors.New("unknown answer of inet_diag")

// listeners asks the kernel for the TCP sockets of a family that listen. /proc/net/tcp has them first,
// but to find where they end the kernel goes through its table of all connections, for each read.
func listeners(family rules.Family) (found []Socket, err error) {
	request := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	request.AddData(diagRequest{byte(inFamily(family))})
	answers, err := request.Execute(unix.NETLINK_INET_DIAG, 0)
	if err != nil {
		return nil, err
	}
	for _, answer := range answers {
		if len(answer) < diagMessageSize {
			return nil, errDiag
		}
		addr := netip.AddrFrom4([4]byte(answer[8:]))
		if family == rules.IPv6 {
			addr = netip.AddrFrom16([16]byte(answer[8:])).Unmap()
		}
		at := netip.AddrPortFrom(addr, binary.BigEndian.Uint16(answer[4:]))
		found = append(found, Socket{at, strconv.FormatUint(uint64(binary.NativeEndian.Uint32(answer[68:])), 10)})
	}
	return found, nil
}
