package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// socketTable is one of the kernel's lists of sockets.
type socketTable struct {
	protocol config.Protocol
	family   rules.Family
}

// listeners looks for processes of the host that listen where a service does. A packet
// meets the nat table first, so these processes get no new connections of the service.
func (e examination) listeners() []Finding {
	var found []Finding
	open := map[socketTable][]socket{}
	for _, service := range e.Services {
		for _, protocol := range service.Protocols {
			of := socketTable{protocol, familyOf(service)}
			if _, known := open[of]; !known {
				var err error
				if open[of], err = e.openTo(protocol, of.family); err != nil {
					found = append(found, cannotTell("who listens on "+string(protocol), err))
				}
			}
			for _, listen := range service.Listen {
				found = append(found, e.shadowedBy(service, listen, protocol, open[of])...)
			}
		}
	}
	return found
}

// shadowedBy returns a finding for each of the sockets that a service takes connections
// from. One address and port can have many sockets: each process of a pool has one
// (SO_REUSEPORT).
func (e examination) shadowedBy(service config.Service, listen config.Listen, protocol config.Protocol, open []socket) []Finding {
	var found []Finding
	seen := map[netip.AddrPort]bool{}
	for _, s := range open {
		if takesFrom(listen, s.at) && !seen[s.at] && !e.ephemeral(protocol, s.at.Port()) {
			seen[s.at] = true
			found = append(found, e.shadowed(service, listen, protocol, s))
		}
	}
	return found
}

// openTo returns the sockets that take packets of a family. An IPv6 socket for every address
// takes IPv4, too, unless an option forbids it or an IPv4 socket has that port.
func (e examination) openTo(protocol config.Protocol, family rules.Family) ([]socket, error) {
	open, err := e.sockets(protocol, family)
	if err != nil || family == rules.IPv6 {
		return open, err
	}
	both, err := e.sockets(protocol, rules.IPv6)
	if err != nil {
		return open, nil // a kernel without IPv6
	}
	for _, s := range both {
		taken := slices.ContainsFunc(open, func(o socket) bool { return o.at.Port() == s.at.Port() && o.at.Addr().IsUnspecified() })
		if s.at.Addr().Is4() || s.at.Addr().IsUnspecified() && !taken {
			open = append(open, s)
		}
	}
	return open, nil
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

// shadowed is the finding of a process that listens where a service does. A process that
// listens on every address may be there for the other ones, so no line ends it.
func (e examination) shadowed(service config.Service, listen config.Listen, protocol config.Protocol, s socket) Finding {
	holder, known := e.processOf(s.inode)
	who := "a process that cannot be seen"
	if known {
		who = fmt.Sprintf("%s (process %d)", holder.name, holder.id)
	}
	comes := listen.String()
	if service.Interface != "" {
		comes += " by " + service.Interface
	}
	found := Finding{Severity: Risk, What: fmt.Sprintf("%s listens on %s %v and is shadowed: what comes for %s goes to service %s", who, protocol, s.at, comes, service.Name)}
	if s.at.Addr().IsUnspecified() && !listen.Any() {
		found.What += "; it still gets what comes for other addresses"
	}
	switch {
	case s.at.Addr().IsUnspecified() || !known:
	case holder.unit != "":
		found.Fix = "systemctl disable --now " + holder.unit
	default:
		found.Fix = fmt.Sprintf("kill %d", holder.id)
	}
	return found
}
