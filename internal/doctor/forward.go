package doctor

import (
	"fmt"
	"net/netip"
	"slices"
)

// Dropped finds what FORWARD drops of a balancer's connections: that part of Examine
// which is worth a look after each change, since on such a host all else looks well.
func (h Host) Dropped(b Balancer) []Finding {
	network, err := readNetwork()
	if err != nil {
		return []Finding{cannotTell("what FORWARD drops", err)}
	}
	return examination{Host: h, Balancer: b, network: network}.forwardChain()
}

// forwardChain sends a packet to each backend, and its answer, through the FORWARD
// chain of each variant, on paper. A rule is only found that drops them for certain,
// or, as a Risk, where a rule before it may let them through.
func (e examination) forwardChain() []Finding {
	var found []Finding
	if e.Unread != nil {
		found = append(found, cannotTell("what FORWARD drops", e.Unread))
	}
	for _, r := range e.Rulesets {
		table := r.table("filter")
		if len(table) == 0 {
			continue
		}
		found = append(found, e.droppedBy(r, table)...)
	}
	return found
}

// dropReason is what drops packets, and how sure that is.
type dropReason struct {
	by     string
	unsure bool
	lost   bool // natspread's own rule would let them through, but is not there
}

// victims are what a verdict drops.
type victims struct{ services, backends []string }

// droppedBy returns a finding for each rule or policy of a table that drops packets.
func (e examination) droppedBy(r Ruleset, table chains) []Finding {
	var order []dropReason
	met := map[dropReason]*victims{}
	seen := map[netip.AddrPort]bool{}
	for _, service := range e.Services {
		if service.Family != r.Family {
			continue
		}
		for _, p := range e.packets(service) {
			w := walk{chains: table, packet: p}
			if w.forward() != dropped {
				continue
			}
			v := dropReason{w.by, w.unsure, service.Accepted && r.Variant == e.Variant}
			if met[v] == nil {
				order = append(order, v)
				met[v] = &victims{}
			}
			if all := met[v]; !slices.Contains(all.services, service.Name) {
				all.services = append(all.services, service.Name)
			}
			backend := netip.AddrPortFrom(p.destination, p.destinationPort)
			if !p.destination.IsValid() {
				backend = netip.AddrPortFrom(p.source, p.sourcePort)
			}
			if !seen[backend] {
				seen[backend] = true
				met[v].backends = append(met[v].backends, backend.String())
			}
		}
	}
	var found []Finding
	for _, v := range order {
		if len(met[v].backends) > 0 {
			found = append(found, v.finding(r, *met[v], r.Variant == e.Variant))
		}
	}
	return found
}

// finding says what is dropped by what. Rules of the variant in use natspread itself can
// have let its connections through, also after the next boot.
func (v dropReason) finding(r Ruleset, dropped victims, inUse bool) Finding {
	found := Finding{
		Broken, fmt.Sprintf("%v: connections of %s to %s are dropped by the %s variant: %s", r.Family, few(dropped.services), few(dropped.backends), r.Variant, v.by),
		program(r.Family, r.Variant) + " -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
	}
	switch {
	case v.lost:
		found.Fix = applyFixes
	case !inUse:
		found.Fix += " # until the next boot"
	default:
		found.Fix += fmt.Sprintf(" # until the next boot; for good: forward = \"accept\" in service %s, then: %s",
			few(dropped.services), applyFixes)
	}
	if v.unsure {
		found.Severity = Risk
		found.What = fmt.Sprintf("%v: cannot tell whether the %s variant lets connections of %s to %s through, or drops them: %s", r.Family, r.Variant, few(dropped.services), few(dropped.backends), v.by)
	}
	return found
}

// packets returns the first packet of a connection to each backend of a service, and
// its answer; of a range, to its first port and to its last. Backends that are the host
// itself are not forwarded to.
func (e examination) packets(service Service) []packet {
	var all []packet
	for _, listen := range service.Listen {
		in := e.comesIn(service, listen)
		for _, backend := range service.Backends {
			way, err := e.network.routeTo(backend.Addr())
			if err != nil || way.local {
				continue // routes says so
			}
			for _, protocol := range service.Protocols {
				for _, port := range slices.Compact([]uint16{listen.First, listen.Last}) {
					asked := asking(protocol, netip.AddrPortFrom(listen.Addr, port), backend)
					asked.in, asked.out = in, way.link
					all = append(all, asked, asked.answered(service.Source.None))
				}
			}
		}
	}
	return all
}

// asking returns the packet that asks a backend what a client asked for. A backend
// without a port has the client's.
func asking(protocol string, asked, backend netip.AddrPort) packet {
	if backend.Port() == 0 {
		backend = netip.AddrPortFrom(backend.Addr(), asked.Port())
	}
	return packet{
		protocol: protocol, destination: backend.Addr(), destinationPort: backend.Port(),
		states: []string{"NEW", "DNAT"}, asked: asked, answers: backend,
	}
}

// answered returns the packet that answers.
func (p packet) answered(keepsClient bool) packet {
	states := []string{"ESTABLISHED", "DNAT"}
	if !keepsClient {
		states = append(states, "SNAT")
	}
	return packet{
		in: p.out, out: p.in, protocol: p.protocol, source: p.destination, sourcePort: p.destinationPort,
		states: states, asked: p.asked, answers: p.answers,
	}
}
