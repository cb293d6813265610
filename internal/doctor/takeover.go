package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/doctor/travel"
	"natspread/internal/hostfiles"
	"natspread/internal/packetpath"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// The sysctls of conntrack that decide about the TCP connections of another balancer.
const (
	tcpLoose   = "net/netfilter/nf_conntrack_tcp_loose"      // whether it picks up one that it did not see begin
	tcpLiberal = "net/netfilter/nf_conntrack_tcp_be_liberal" // whether packets outside of the TCP window are valid
)

// takeover looks whether conntrack takes up TCP connections that another balancer had.
func (e examination) takeover() []Finding {
	var services []string
	for _, service := range e.Services {
		if service.Takeover && slices.Contains(service.Protocols, config.TCP) {
			services = append(services, service.Name)
		}
	}
	if len(services) == 0 {
		return nil
	}
	loose, liberal := hostfiles.Dotted(tcpLoose), hostfiles.Dotted(tcpLiberal)
	var found []Finding
	for _, check := range []struct {
		key string
		Finding
	}{
		{tcpLoose, Finding{Severity: Broken, What: fmt.Sprintf("%s is 0: open connections of %s that another balancer had are lost when they come here", loose, text.Few(services)), Fix: "sysctl -w " + loose + "=1", Loss: finding.Loss{Services: services}}},
		{tcpLiberal, Finding{
			Severity: Risk, What: fmt.Sprintf("%s is 0: connections of %s that go to another balancer and come back are lost, as their packets are invalid then", liberal, text.Few(services)),
			// At boot sysctl.d is read before something loads conntrack, without which there is no such key.
			Fix: "echo nf_conntrack > /etc/modules-load.d/60-takeover.conf && echo " + liberal + "=1 > /etc/sysctl.d/60-takeover.conf && sysctl -p /etc/sysctl.d/60-takeover.conf",
		}},
	} {
		switch value, err := e.number(check.key); {
		case errors.Is(err, fs.ErrNotExist): // nothing tracks connections yet
		case err != nil:
			found = append(found, cannotTell("whether connections are taken over", err))
		case value == 0:
			found = append(found, check.Finding)
		}
	}
	return found
}

// hit names those whose first packets a rule drops.
type hit struct {
	victims      // by the names of backends
	clients bool // whether it drops those of clients
}

// hits finds the rules that drop such packets. Of a rule that drops all that clients send there is
// a finding already.
func (f *finder) hits(path packetpath.Path) (keys []deed, hits map[deed]*hit) {
	hits = map[deed]*hit{}
	begun, _ := path.Return(f.packets.Begun.List)
	resumed, _ := path.Arrive(f.packets.Resumed.List)
	for _, part := range []struct {
		travel.Packets
		events  []packetpath.Event
		clients bool
	}{
		{f.packets.Begun, begun, false}, {f.packets.Answered, path.Pass(f.packets.Answered.List), false},
		{f.packets.Resumed, resumed, true}, {f.packets.Passed, path.Pass(f.packets.Passed.List), true},
	} {
		found, done := deeds(part.Packets, part.events, packetpath.Dropped)
		for _, key := range found {
			if part.clients && f.said[quoted(key.rule)] {
				continue
			}
			if hits[key] == nil {
				hits[key], keys = &hit{}, append(keys, key)
			}
			h := hits[key]
			h.Services, h.clients = append(h.Services, done[key].Services...), h.clients || part.clients
			if !part.clients {
				h.names, h.Backends = append(h.names, done[key].names...), append(h.Backends, done[key].Backends...)
			}
		}
	}
	return keys, hits
}

// firstPackets says which rules drop the first packets that come here of connections that another
// balancer had. An accept of ESTABLISHED or DNAT does not let through what a backend sends first:
// this conntrack has seen no packet of the client.
func (f *finder) firstPackets(path packetpath.Path) {
	keys, hits := f.hits(path)
	for _, key := range keys {
		h := hits[key]
		for _, list := range []*[]string{&h.Services, &h.names} {
			slices.Sort(*list)
			*list = slices.Compact(*list)
		}
		who := fmt.Sprintf("backends of %s (%s)", text.Few(h.Services), text.Few(h.names))
		switch {
		case h.names == nil:
			who = "clients of " + text.Few(h.Services)
		case h.clients:
			who += " and their clients"
		}
		what := "what " + who + " say first in connections that another balancer had"
		f.add(key.sure, what+" is dropped: "+quoted(key.rule), "cannot tell whether "+quoted(key.rule)+" drops "+what, f.letBegin(key.rule, *h), h.Loss)
	}
}

// letBegin is the line after which a rule drops none of these packets. With forward = "accept"
// natspread has accepts of its own in FORWARD: behind what may be a ban, and before the other rules. A
// rule that drops although they are loaded is to be taken out.
func (f *finder) letBegin(by packetpath.Rule, h hit) string {
	ours := by.Variant == f.Variant && slices.ContainsFunc(f.Services, func(s config.Service) bool { return s.Forward == config.Accept && slices.Contains(h.Services, s.Name) })
	loaded := func(r rules.Ruleset) bool {
		return r.Family == f.family && r.Variant == f.Variant && forwardsTo(r, rules.ServiceTakeover)
	}
	switch {
	case by.Native, by.Table != "filter", !by.OfForward, ours && slices.ContainsFunc(f.Rulesets, loaded):
		return by.Remove + untilLoaded
	case ours:
		return FixApply
	}
	insert := rules.Program(f.family, by.Variant, "") + " -I FORWARD "
	var lines []string
	for i, p := range f.packets.Begun.List {
		if slices.Contains(h.names, f.packets.Begun.Name(i)) {
			lines = append(lines, fmt.Sprintf("%s-m conntrack --ctproto %d --ctorigsrc %v --ctorigsrcport %d -j ACCEPT", insert, rules.ProtocolNumber(p.Protocol), p.Source, p.SourcePort))
		}
	}
	if h.clients {
		lines = append(lines, insert+"-m conntrack --ctstate DNAT -j ACCEPT")
	}
	return fmt.Sprintf("%s # until the next boot; for good: forward = \"accept\" in service %s, then: %s", strings.Join(lines, " && "), text.Few(h.Services), FixApply)
}
