package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config"
	"natspread/internal/network"
	"natspread/internal/rules"
)

// socketTable is one of the kernel's lists of sockets.
type socketTable struct {
	protocol config.Protocol
	family   rules.Family
}

// sockets are what processes of the host listen on, as it was read so far.
type sockets struct {
	proc      string
	open      map[socketTable][]network.Socket // ordered by port
	unread    map[socketTable]error
	processes *network.Processes
}

// sockets begins to read those of the host.
func (h Host) sockets() sockets {
	return sockets{h.Proc, map[socketTable][]network.Socket{}, map[socketTable]error{}, network.NewProcesses(h.Proc)}
}

// of returns the sockets that take packets of a protocol and a family. An IPv6 socket for
// every address takes IPv4, too, unless an option forbids it or an IPv4 socket has that port.
func (s sockets) of(protocol config.Protocol, family rules.Family) ([]network.Socket, error) {
	table := socketTable{protocol, family}
	open, known := s.open[table]
	if known {
		return open, s.unread[table]
	}
	open, err := network.Sockets(s.proc, string(protocol), family)
	if err == nil && family == rules.IPv4 {
		both, _ := s.of(protocol, rules.IPv6) // which a kernel without IPv6 does not have
		open = withBoth(open, both)
	}
	s.open[table], s.unread[table] = open, err
	return open, err
}

// withBoth adds to the sockets of IPv4 those of IPv6 that take it, too.
func withBoth(four, six []network.Socket) []network.Socket {
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
func byPort(a, b network.Socket) int { return int(a.At.Port()) - int(b.At.Port()) }

// onPorts returns the sockets of some ports.
func onPorts(open []network.Socket, ports config.Ports) []network.Socket {
	begin, _ := slices.BinarySearchFunc(open, int(ports.First), func(s network.Socket, port int) int { return int(s.At.Port()) - port })
	end, _ := slices.BinarySearchFunc(open, int(ports.Last)+1, func(s network.Socket, port int) int { return int(s.At.Port()) - port })
	return open[begin:end]
}

// listeners looks for processes of the host that listen where a service does. A packet
// meets the nat table first, so these processes get no new connections of the service.
func (e examination) listeners() []Finding {
	var found []Finding
	said := map[socketTable]bool{}
	for _, service := range e.Services {
		for _, protocol := range service.Protocols {
			table := socketTable{protocol, familyOf(service)}
			open, err := e.sockets.of(protocol, table.family)
			if err != nil && !said[table] {
				said[table] = true
				found = append(found, cannotTell("who listens on "+string(protocol), err))
			}
			for _, listen := range service.Listen {
				found = append(found, e.shadowedBy(service, listen, protocol, onPorts(open, listen.Ports))...)
			}
		}
	}
	return found
}

// shadowedBy returns a finding for each of the sockets that a service takes connections
// from. One address and port can have many sockets: each process of a pool has one
// (SO_REUSEPORT).
func (e examination) shadowedBy(service config.Service, listen config.Listen, protocol config.Protocol, open []network.Socket) []Finding {
	var found []Finding
	seen := map[netip.AddrPort]bool{}
	for _, s := range open {
		if takesFrom(listen, s.At) && !seen[s.At] && !e.ephemeral(protocol, s.At.Port()) {
			seen[s.At] = true
			found = append(found, e.shadowed(service, listen, protocol, s))
		}
	}
	return found
}

// takesFrom tells whether a service that listens there takes packets from a socket.
func takesFrom(listen config.Listen, at netip.AddrPort) bool {
	if !listen.Ports.Contains(at.Port()) || at.Addr().IsLoopback() {
		return false
	}
	return listen.Any() || at.Addr() == listen.Addr || at.Addr().IsUnspecified()
}

// ephemeral tells whether the kernel may have picked a UDP port for a client on the host.
// Such a socket waits for one reply and serves nobody.
func (e examination) ephemeral(protocol config.Protocol, port uint16) bool {
	if protocol != config.UDP {
		return false
	}
	text, err := e.read("net/ipv4/ip_local_port_range")
	if err != nil {
		return false
	}
	bounds := strings.Fields(text)
	if len(bounds) != 2 {
		return false
	}
	first, err := strconv.Atoi(bounds[0])
	last, err2 := strconv.Atoi(bounds[1])
	return err == nil && err2 == nil && first <= int(port) && int(port) <= last
}

// holderOf names the process that holds a socket.
func (e examination) holderOf(s network.Socket) (holder network.Process, known bool, who string) {
	holder, known = e.sockets.processes.Of(s.Inode)
	if !known {
		return holder, false, "a process that cannot be seen"
	}
	return holder, true, fmt.Sprintf("%s (process %d)", holder.Name, holder.ID)
}

// shadowed is the finding of a process that listens where a service does. A process that
// listens on every address may be there for the other ones, so no line ends it.
func (e examination) shadowed(service config.Service, listen config.Listen, protocol config.Protocol, s network.Socket) Finding {
	holder, known, who := e.holderOf(s)
	comes := listen.String()
	if service.Interface != "" {
		comes += " by " + service.Interface
	}
	found := Finding{Severity: Risk, What: fmt.Sprintf("%s listens on %s %v and is shadowed: what comes for %s goes to service %s", who, protocol, s.At, comes, service.Name)}
	if s.At.Addr().IsUnspecified() && !listen.Any() {
		found.What += "; it still gets what comes for other addresses"
	}
	switch {
	case s.At.Addr().IsUnspecified() || !known:
	case holder.Unit != "":
		found.Fix = "systemctl disable --now " + holder.Unit
	default:
		found.Fix = fmt.Sprintf("kill %d", holder.ID)
	}
	return found
}
