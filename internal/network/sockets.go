package network

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// Socket is a socket that takes packets to an address and port.
type Socket struct {
	At    netip.AddrPort
	Inode string
}

// The states of sockets in /proc/net. An open UDP socket without a peer has the state of a
// closed TCP socket (tcp_states.h).
const (
	stateListens = "0A"
	stateUDP     = "07"
	stateSCTP    = "10" // stateListens in decimal
)

// Sockets are the sockets of the host that take packets. Each of the kernel's lists is read once,
// when it is first asked for.
type Sockets struct {
	proc      string // where the kernel lists them: /proc
	open      map[socketList][]Socket
	unread    map[socketList]error
	processes *processes
}

// socketList is one of the kernel's lists of sockets.
type socketList struct {
	protocol string
	family   rules.Family
}

// NewSockets returns those below a directory: /proc.
func NewSockets(proc string) Sockets {
	return Sockets{proc, map[socketList][]Socket{}, map[socketList]error{}, &processes{proc: proc}}
}

// Of returns the sockets that take packets of a protocol (tcp, udp, sctp) and a family from any
// peer, ordered by port. An IPv6 socket for every address takes IPv4, too, unless an option
// forbids it or an IPv4 socket has that port.
func (s Sockets) Of(protocol string, family rules.Family) ([]Socket, error) {
	list := socketList{protocol, family}
	open, known := s.open[list]
	if known {
		return open, s.unread[list]
	}
	open, err := readSockets(s.proc, protocol, family)
	if err == nil && family == rules.IPv4 {
		both, _ := s.Of(protocol, rules.IPv6) // which a kernel without IPv6 does not have
		open = withBoth(open, both)
	}
	s.open[list], s.unread[list] = open, err
	return open, err
}

// Holder returns the process that holds a socket. found is false when no process is seen that
// does, as when the rights are missing.
func (s Sockets) Holder(of Socket) (holder Process, found bool) { return s.processes.of(of.Inode) }

// withBoth adds to the sockets of IPv4 those of IPv6 that take it, too.
func withBoth(four, six []Socket) []Socket {
	taken := map[uint16]bool{}
	for _, s := range four {
		if s.At.Addr().IsUnspecified() {
			taken[s.At.Port()] = true
		}
	}
	for _, s := range six {
		if s.At.Addr().Is4() || s.At.Addr().IsUnspecified() && !taken[s.At.Port()] {
			four = append(four, s)
		}
	}
	slices.SortStableFunc(four, byPort)
	return four
}

// byPort orders sockets.
func byPort(a, b Socket) int { return cmp.Compare(a.At.Port(), b.At.Port()) }

// OnPorts returns those of some sockets, ordered by port, that have one of a range of ports.
func OnPorts(open []Socket, first, last uint16) []Socket {
	compare := func(s Socket, port int) int { return int(s.At.Port()) - port }
	begin, _ := slices.BinarySearchFunc(open, int(first), compare)
	end, _ := slices.BinarySearchFunc(open, int(last)+1, compare)
	return open[begin:end]
}

// readSockets reads one of the kernel's lists, and orders it by port.
func readSockets(proc, protocol string, family rules.Family) (found []Socket, err error) {
	switch protocol {
	case "sctp":
		found, err = sctpSockets(proc, family)
	case "tcp":
		found, err = tcpSockets(proc, family)
	default:
		found, err = listedSockets(proc, protocol, family)
	}
	slices.SortStableFunc(found, byPort)
	return found, err
}

// tcpSockets asks the kernel, and reads its list where it has no inet_diag.
func tcpSockets(proc string, family rules.Family) ([]Socket, error) {
	if proc == "/proc" {
		if found, err := listeners(family); err == nil {
			return found, nil
		}
	}
	return listedSockets(proc, "tcp", family)
}

// listedSockets reads the list of a protocol. That of TCP begins with those that listen
// (tcp_ipv4.c), and the rest, which can be a million, is not read.
func listedSockets(proc, protocol string, family rules.Family) ([]Socket, error) {
	name, state := protocol, stateListens
	if protocol == "udp" {
		state = stateUDP
	}
	if family == rules.IPv6 {
		name += "6"
	}
	file, err := os.Open(filepath.Join(proc, "net", name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []Socket
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) < 10 || words[0] == "sl": // the head
			continue
		case words[3] != state && protocol == "tcp":
			return found, nil
		case words[3] != state || strings.Trim(words[2], "0:") != "":
			continue
		}
		at, err := parseSocket(words[1])
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", name, err)
		}
		found = append(found, Socket{at, words[9]})
	}
	return found, lines.Err()
}

// sctpSockets returns the sockets of SCTP; each can have many addresses. The kernel has one
// table for both families (net/sctp/proc.c), which exists once somebody uses SCTP.
func sctpSockets(proc string, family rules.Family) ([]Socket, error) {
	text, err := os.ReadFile(filepath.Join(proc, "net/sctp/eps"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Socket
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 9 || words[3] != stateSCTP {
			continue
		}
		port, err := strconv.ParseUint(words[5], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("cannot read sctp/eps: %w", err)
		}
		for _, word := range words[8:] {
			addr, err := netip.ParseAddr(word)
			if err == nil && rules.FamilyOf(addr) == family {
				found = append(found, Socket{netip.AddrPortFrom(addr, uint16(port)), words[7]})
			}
		}
	}
	return found, nil
}

// parseSocket reads ADDRESS:PORT in hex. The address is in 32-bit words of the host's byte
// order.
func parseSocket(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for word := range slices.Chunk(raw, 4) {
		binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(word))
	}
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", address)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
