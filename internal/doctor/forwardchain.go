package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// Dropped finds what FORWARD drops of a balancer's connections. It is the part of Examine
// that is worth a look after each change, because everything else looks well on a host
// that drops them.
func (h Host) Dropped(b Balancer) []Finding {
	read, err := h.readNetwork()
	if err != nil {
		return []Finding{cannotTell("what FORWARD drops", err)}
	}
	return examination{Host: h, Balancer: b, network: read}.forwardChain()
}

// forwardChain computes what the FORWARD chain of each variant does with a packet to each
// backend and with its reply. It finds a rule that drops them for certain. Where a rule
// before that one may let them through, the finding is a Risk.
func (e examination) forwardChain() []Finding {
	var found []Finding
	if e.Unread != nil {
		found = append(found, cannotTell("what FORWARD drops", e.Unread))
	}
	for _, r := range e.Rulesets {
		if table := r.Tables["filter"]; len(table) > 0 {
			found = append(found, e.droppedBy(r, chainsOf(table))...)
		}
	}
	return found
}

// dropReason is what drops packets, and how sure that is.
type dropReason struct {
	by     string // the rule, or the policy
	unsure bool
	lost   bool // natspread's own rule lets them through, but is not there
}

// victims are what one reason drops.
type victims struct{ services, backends []string }

// droppedBy returns a finding for each rule or policy of a filter table that drops
// packets. A backend is named once, by the first reason that drops its packets.
func (e examination) droppedBy(r rules.Ruleset, filter chains) []Finding {
	var services, backends groups[dropReason, string]
	seen := map[netip.AddrPort]bool{}
	for _, service := range e.Services {
		if familyOf(service) != r.Family {
			continue
		}
		accepted := service.Forward == config.Accept && r.Variant == e.Variant
		for _, p := range e.packets(service) {
			w := walk{chains: filter, packet: p}
			if w.forward() != dropped {
				continue
			}
			reason := dropReason{w.by, w.unsure, accepted}
			services.add(reason, service.Name)
			if !seen[p.replySrc] {
				seen[p.replySrc] = true
				backends.add(reason, p.replySrc.String())
			}
		}
	}
	var found []Finding
	for _, reason := range services.keys {
		if all := (victims{services.values[reason], backends.values[reason]}); len(all.backends) > 0 {
			found = append(found, reason.finding(r, all, r.Variant == e.Variant))
		}
	}
	return found
}

// finding names what drops what. In the variant in use, natspread's own rules can let its
// connections through; these also hold after the next boot.
func (d dropReason) finding(r rules.Ruleset, dropped victims, inUse bool) Finding {
	found := Finding{
		Broken, fmt.Sprintf("%v: connections of %s to %s are dropped by the %s variant: %s", r.Family, few(dropped.services), few(dropped.backends), r.Variant, d.by),
		rules.Program(r.Family, r.Variant, "") + " -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
	}
	switch {
	case d.lost:
		found.Fix = FixApply
	case !inUse:
		found.Fix += " # until the next boot"
	default:
		found.Fix += fmt.Sprintf(" # until the next boot; for good: forward = \"accept\" in service %s, then: %s",
			few(dropped.services), FixApply)
	}
	if d.unsure {
		found.Severity = Risk
		found.What = fmt.Sprintf("%v: cannot tell whether the %s variant lets connections of %s to %s through, or drops them: %s", r.Family, r.Variant, few(dropped.services), few(dropped.backends), d.by)
	}
	return found
}

// packets returns the first packet of a connection to each backend of a service, and its
// reply; for a range of ports, to its first port and to its last. To a backend that is the
// host itself nothing is forwarded.
func (e examination) packets(service config.Service) []packet {
	var all []packet
	backends := service.Active()
	for _, listen := range service.Listen {
		in := e.comesIn(service, listen)
		for _, backend := range backends {
			to, err := e.network.RouteTo(backend.Addr)
			if err != nil || to.Local {
				continue // the check of the routes says so
			}
			for _, protocol := range service.Protocols {
				for _, port := range slices.Compact([]uint16{listen.Ports.First, listen.Ports.Last}) {
					request := requestTo(backend, protocol, netip.AddrPortFrom(listen.Addr, port))
					request.in, request.out = in, to.Link
					all = append(all, request, request.reply(service.SNAT.Mode == config.None))
				}
			}
		}
	}
	return all
}

// requestTo returns the packet to a backend that a packet to an address of a service
// becomes. A backend without a port gets the client's port.
func requestTo(backend config.Backend, protocol config.Protocol, origDst netip.AddrPort) packet {
	port := backend.Port
	if port == 0 {
		port = origDst.Port()
	}
	return packet{
		protocol: string(protocol), destination: backend.Addr, destinationPort: port,
		states: []string{"NEW", "DNAT"}, origDst: origDst, replySrc: netip.AddrPortFrom(backend.Addr, port),
	}
}

// reply returns the packet that answers a request. keepsClient says that the request
// still has the client's address.
func (p packet) reply(keepsClient bool) packet {
	states := []string{"ESTABLISHED", "DNAT"}
	if !keepsClient {
		states = append(states, "SNAT")
	}
	return packet{
		in: p.out, out: p.in, protocol: p.protocol, source: p.destination, sourcePort: p.destinationPort,
		states: states, origDst: p.origDst, replySrc: p.replySrc,
	}
}
