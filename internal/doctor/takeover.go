package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/packetpath"
	"natspread/internal/rules"
)

// lenient is the sysctl with which conntrack takes TCP packets out of the window it knows.
const lenient = "net.netfilter.nf_conntrack_tcp_be_liberal"

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
	const file = "/etc/sysctl.d/60-takeover.conf"
	var found []Finding
	for _, check := range []struct {
		key string
		Finding
	}{
		{"nf_conntrack_tcp_loose", Finding{
			Broken, fmt.Sprintf("net.netfilter.nf_conntrack_tcp_loose is 0: open connections of %s that another balancer had are lost when they come here", few(services)),
			"sysctl -w net.netfilter.nf_conntrack_tcp_loose=1",
		}},
		{"nf_conntrack_tcp_be_liberal", Finding{
			Risk, fmt.Sprintf("%s is 0: connections of %s that go to another balancer and come back are lost, as their packets are invalid then", lenient, few(services)),
			fmt.Sprintf("echo %s=1 > %s && sysctl -p %s", lenient, file, file),
		}},
	} {
		switch value, err := e.number("net/netfilter/" + check.key); {
		case errors.Is(err, fs.ErrNotExist): // nothing tracks connections yet
		case err != nil:
			found = append(found, cannotTell("whether connections are taken over", err))
		case value == 0:
			found = append(found, check.Finding)
		}
	}
	return found
}

// begun adds what a backend says first in a connection that another balancer had, and the
// client's answer.
func (t *travel) begun(service *config.Service, backend netip.AddrPort, protocol config.Protocol, link, in string) {
	one := packetpath.Packet{Protocol: string(protocol), OrigSrc: backend, Family: rules.FamilyOf(backend.Addr())}
	first, answer := one, one
	first.In, first.Out, first.Source, first.SourcePort, first.States = link, in, backend.Addr(), backend.Port(), newStates
	answer.In, answer.Out, answer.Destination, answer.DestinationPort, answer.States = in, link, backend.Addr(), backend.Port(), []string{"ESTABLISHED", "SNAT"}
	t.add(first, service)
	t.add(answer, service)
}

// begun says who drops what backends say first. An accept of what clients asked for does not
// let it through: nothing was asked here.
func (f *finder) begun(events []packetpath.Event) {
	keys, done := f.travel.begun.deeds(events, packetpath.Dropped)
	for _, key := range keys {
		v := done[key]
		slices.Sort(v.names)
		v.names = slices.Compact(v.names)
		fix := key.rule.Remove + untilLoaded
		if !key.rule.Native && key.rule.Table == "filter" && key.rule.OfForward {
			fix = f.letBegin(key.rule.Variant, *v)
		}
		what := fmt.Sprintf("what backends of %s (%s) say first in connections that another balancer had", few(v.services), few(v.names))
		f.add(key.sure, what+" is dropped: "+quoted(key.rule), "cannot tell whether "+quoted(key.rule)+" drops "+what, fix)
	}
}

// letBegin is the line after which FORWARD lets through what backends begin.
func (f *finder) letBegin(variant rules.Variant, v victims) string {
	var lines []string
	for i, p := range f.travel.begun.packets {
		if slices.Contains(v.names, f.travel.begun.name(i)) && p.Source.IsValid() {
			rule := rules.Rule{
				ConnectionProtocol: p.Protocol, OriginalSource: netip.PrefixFrom(p.Source, p.Source.BitLen()),
				OriginalSourcePorts: rules.Ports{First: p.SourcePort, Last: p.SourcePort}, Target: rules.Target{Kind: rules.Accept},
			}
			lines = append(lines, fmt.Sprintf("%s -I FORWARD %s", rules.Program(f.family, variant, ""), rule.AppendText(nil)))
		}
		if f.travel.begun.of[i].Forward == config.Accept && variant == f.Variant && slices.Contains(v.services, f.travel.begun.of[i].Name) {
			return FixApply
		}
	}
	return fmt.Sprintf("%s # until the next boot; for good: forward = \"accept\" in service %s, then: %s", strings.Join(lines, " && "), few(v.services), FixApply)
}
