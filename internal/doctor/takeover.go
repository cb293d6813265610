package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/hostfiles"
	"natspread/internal/packetpath"
	"natspread/internal/rules"
)

// By the first conntrack takes up TCP connections that it did not see begin, by the second it
// takes packets outside of the window that it knows.
const (
	tcpLoose   = "net/netfilter/nf_conntrack_tcp_loose"
	tcpLiberal = "net/netfilter/nf_conntrack_tcp_be_liberal"
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
	const file = "60-takeover.conf"
	loose, liberal := hostfiles.Dotted(tcpLoose), hostfiles.Dotted(tcpLiberal)
	var found []Finding
	for _, check := range []struct {
		key string
		Finding
	}{
		{tcpLoose, Finding{
			Broken, fmt.Sprintf("%s is 0: open connections of %s that another balancer had are lost when they come here", loose, few(services)),
			"sysctl -w " + loose + "=1",
		}},
		{tcpLiberal, Finding{
			Risk, fmt.Sprintf("%s is 0: connections of %s that go to another balancer and come back are lost, as their packets are invalid then", liberal, few(services)),
			// Boot reads the file when nothing has loaded the module yet that has the key.
			fmt.Sprintf("echo nf_conntrack > /etc/modules-load.d/%[2]s && echo %[1]s=1 > /etc/sysctl.d/%[2]s && sysctl -p /etc/sysctl.d/%[2]s", liberal, file),
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
	begun := f.travel.begun
	var lines []string
	for i, p := range begun.packets {
		service := begun.of[i]
		if service.Forward == config.Accept && variant == f.Variant && slices.Contains(v.services, service.Name) {
			return FixApply
		}
		if slices.Contains(v.names, begun.name(i)) && p.Source.IsValid() { // else it is the client's answer
			rule := rules.Rule{
				ConnectionProtocol: p.Protocol, OriginalSource: netip.PrefixFrom(p.Source, p.Source.BitLen()),
				OriginalSourcePorts: rules.Ports{First: p.SourcePort, Last: p.SourcePort}, Target: rules.Target{Kind: rules.Accept},
			}
			lines = append(lines, fmt.Sprintf("%s -I FORWARD %s", rules.Program(f.family, variant, ""), rule.AppendText(nil)))
		}
	}
	return fmt.Sprintf("%s # until the next boot; for good: forward = \"accept\" in service %s, then: %s", strings.Join(lines, " && "), few(v.services), FixApply)
}
