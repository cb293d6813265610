package doctor

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// socket is a socket that takes packets to an address and port.
type socket struct {
	at    netip.AddrPort
	inode string
}

// The states of sockets in /proc/net. An open UDP socket without a peer has the state of a
// closed TCP socket (tcp_states.h).
const (
	stateListens = "0A"
	stateUDP     = "07"
	stateSCTP    = "10" // stateListens in decimal
)

// sockets returns the sockets of a protocol and a family that take packets from any peer.
func (h Host) sockets(protocol config.Protocol, family rules.Family) ([]socket, error) {
	if protocol == config.SCTP {
		return h.sctpSockets(family)
	}
	name, state := string(protocol), stateListens
	if protocol == config.UDP {
		state = stateUDP
	}
	if family == rules.IPv6 {
		name += "6"
	}
	text, err := os.ReadFile(filepath.Join(h.Proc, "net", name))
	if err != nil {
		return nil, err
	}
	var found []socket
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 10 || words[3] != state || strings.Trim(words[2], "0:") != "" {
			continue
		}
		at, err := parseSocket(words[1])
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", name, err)
		}
		found = append(found, socket{at, words[9]})
	}
	return found, nil
}

// sctpSockets returns the sockets of SCTP; each can have many addresses. The kernel has one
// table for both families (net/sctp/proc.c), which exists once somebody uses SCTP.
func (h Host) sctpSockets(family rules.Family) ([]socket, error) {
	text, err := os.ReadFile(filepath.Join(h.Proc, "net/sctp/eps"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []socket
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
				found = append(found, socket{netip.AddrPortFrom(addr, uint16(port)), words[7]})
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

// process is a process that holds a socket.
type process struct {
	id   int
	name string
	unit string // the service of systemd that it belongs to, "" where there is none
}

// processOf returns the process that holds a socket. found is false when no process is seen
// that does, as when the rights are missing.
func (h Host) processOf(inode string) (holder process, found bool) {
	entries, err := os.ReadDir(h.Proc)
	if err != nil {
		return process{}, false
	}
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil || !h.holdsSocket(entry.Name(), inode) {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(h.Proc, entry.Name(), "comm"))
		return process{id, strings.TrimSpace(string(name)), h.unitOf(entry.Name())}, true
	}
	return process{}, false
}

// holdsSocket tells whether a process has a socket open.
func (h Host) holdsSocket(id, inode string) bool {
	dir := filepath.Join(h.Proc, id, "fd")
	open, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(open, func(fd os.DirEntry) bool {
		target, err := os.Readlink(filepath.Join(dir, fd.Name()))
		return err == nil && target == "socket:["+inode+"]"
	})
}

// unitOf returns the service that a process belongs to, from its control group.
func (h Host) unitOf(id string) string {
	text, err := os.ReadFile(filepath.Join(h.Proc, id, "cgroup"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		rest, found := strings.CutPrefix(strings.TrimSpace(line), "0::/system.slice/")
		unit, _, _ := strings.Cut(rest, "/")
		if found && strings.HasSuffix(unit, ".service") {
			return unit
		}
	}
	return ""
}
