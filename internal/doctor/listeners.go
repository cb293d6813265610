package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// listeners looks for processes of the host that listen where a service does: the nat
// table comes first, so they get no more of its connections.
func (e examination) listeners() []Finding {
	var found []Finding
	open := map[string][]socket{} // by protocol and family
	for _, service := range e.Services {
		for _, protocol := range service.Protocols {
			of := protocol + service.Family.String()
			if _, known := open[of]; !known {
				var err error
				if open[of], err = e.openTo(protocol, service.Family); err != nil {
					found = append(found, cannotTell("who listens on "+protocol, err))
				}
			}
			for _, listen := range service.Listen {
				found = append(found, e.shadowedBy(service, listen, protocol, open[of])...)
			}
		}
	}
	return found
}

// shadowedBy returns a finding for each of the sockets that a service takes from. One
// address and port can have many: each process of a pool has one (SO_REUSEPORT).
func (e examination) shadowedBy(service Service, listen Listen, protocol string, open []socket) []Finding {
	var found []Finding
	seen := map[netip.AddrPort]bool{}
	for _, s := range open {
		if listen.takes(s.at) && !seen[s.at] && !e.ephemeral(protocol, s.at.Port()) {
			seen[s.at] = true
			found = append(found, e.shadowed(service, listen, protocol, s))
		}
	}
	return found
}

// openTo returns the sockets that take what comes for a family. One of IPv6 for every
// address takes IPv4, too, unless it was told not to or another has the IPv4 port.
func (e examination) openTo(protocol string, family rules.Family) ([]socket, error) {
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

// takes tells whether some of what comes to a socket is balanced from now on.
func (l Listen) takes(at netip.AddrPort) bool {
	if at.Port() < l.First || at.Port() > l.Last || at.Addr().IsLoopback() {
		return false
	}
	return !l.Addr.IsValid() || at.Addr() == l.Addr || at.Addr().IsUnspecified()
}

// ephemeral tells whether a UDP port may be one that the kernel picked for a client of
// the host, which waits for one answer and serves nobody.
func (e examination) ephemeral(protocol string, port uint16) bool {
	if protocol != "udp" {
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

// shadowed is the finding of a process that listens where a service does. One that
// listens on every address may be meant for the others, so no line ends it.
func (e examination) shadowed(service Service, listen Listen, protocol string, s socket) Finding {
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
	if s.at.Addr().IsUnspecified() && listen.Addr.IsValid() {
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
