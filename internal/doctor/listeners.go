package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/network"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// listeners looks for processes of the host that listen where a service does. A packet
// meets the nat table first, so these processes get no new connections of the service.
func (e examination) listeners() []Finding {
	var found []Finding
	type list struct {
		protocol config.Protocol
		family   rules.Family
	}
	said := map[list]bool{}
	for _, service := range e.Services {
		for _, protocol := range service.Protocols {
			of := list{protocol, familyOf(service)}
			open, err := e.sockets.Of(string(of.protocol), of.family)
			if err != nil && !said[of] {
				said[of] = true
				found = append(found, cannotTell("who listens on "+string(protocol), err))
			}
			for _, listen := range service.Listen {
				found = append(found, e.shadowedBy(service, listen, protocol, network.OnPorts(open, listen.Ports.First, listen.Ports.Last))...)
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
		if takesFrom(listen, s.At) && !seen[s.At] && !e.serves(service, listen, s.At) && !e.ephemeral(protocol, s.At.Port()) {
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

// serves tells whether a socket is a backend's: one that is the listen address keeps its connections.
func (e examination) serves(service config.Service, listen config.Listen, at netip.AddrPort) bool {
	return slices.ContainsFunc(service.Backends, func(b config.Backend) bool {
		_, held := e.network.Holder(b.Addr)
		return (listen.Addr == b.Addr || listen.Any() && held) && listen.Answers(b).Contains(at.Port()) && (at.Addr() == b.Addr || at.Addr().IsUnspecified())
	})
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
	holder, known = e.sockets.Holder(s)
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
	if len(service.Interfaces) > 0 {
		comes += " by " + text.Few(service.Interfaces)
	}
	found := Finding{Severity: Risk, What: fmt.Sprintf("%s listens on %s %v and is shadowed: what comes for %s goes to service %s", who, protocol, s.At, comes, service.Name), Of: finding.Subject{Kind: "processes are shadowed by services", Name: s.At.String(), Services: []string{service.Name}}}
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
