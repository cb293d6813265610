// Package render turns a checked config into the nat tables that spread its
// connections, the part of the filter tables that lets them through, and that of
// the mangle tables that makes their segments shorter.
//
// It is pure: the same config gives the same bytes. It knows no file, process,
// clock, environment or systemd.
package render

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// New plans the tables for a config. Every config that config.Parse returns has
// a plan, so there is no error.
func New(cfg config.Config) rules.Tables {
	return measured.plan(cfg)
}

// plan plans the tables for a config in a layout.
func (l limits) plan(cfg config.Config) rules.Tables {
	var plan rules.Tables
	for _, part := range []struct {
		family              rules.Family
		nat, filter, mangle *rules.Table
	}{{rules.IPv4, &plan.IPv4, &plan.FilterIPv4, &plan.MangleIPv4}, {rules.IPv6, &plan.IPv6, &plan.FilterIPv6, &plan.MangleIPv6}} {
		services := ofFamily(part.family, cfg.Services)
		*part.nat, *part.filter, *part.mangle = l.table(part.family, services), l.filter(part.family, services), l.mangle(part.family, services)
	}
	return plan
}

// ofFamily returns those services that belong to a family.
func ofFamily(family rules.Family, services []config.Service) []config.Service {
	return slices.DeleteFunc(slices.Clone(services), func(s config.Service) bool { return familyOf(s) != family })
}

// table plans the nat table of one family from its services.
func (l limits) table(family rules.Family, services []config.Service) rules.Table {
	planned := rules.Table{Family: family}
	if len(services) == 0 {
		return planned
	}
	for _, service := range services {
		planned.Chains = append(planned.Chains, l.serviceChains(service)...)
	}
	together := togetherOf(services)
	passing := together.passing()
	refusals := together.refusals(services, passing)
	refusing := ledTo(refusals)
	var gates []rules.Chain
	for _, service := range services {
		gates = append(gates, l.gateChains(service, passing[service.Name], refusing[refusalChain(service.Name)])...)
	}
	planned.Chains = append(planned.Chains, gates...)
	l.gates = gateLevels(gates)
	planned.Chains = append(planned.Chains, l.buildTrees(
		root{rules.ServicePre, append(incoming(services), refusals...), l.entries},
		root{rules.ServiceOut, outgoing(services), l.entries},
		root{rules.ServicePost, leavingEntries(services), l.sources},
	)...)
	planned.Sort()
	return planned
}

// filter plans the part of the filter table of one family from its services.
func (l limits) filter(family rules.Family, services []config.Service) rules.Table {
	planned := rules.Table{Family: family, Name: rules.Filter}
	entries := forwarded(services)
	if len(entries) == 0 {
		return planned
	}
	roots := []root{{rules.ServiceForward, entries, l.sources}, {rules.ServiceRelated, related(services), l.sources}}
	if entries := begunByBackends(services); len(entries) > 0 {
		roots = append(roots, root{rules.ServiceTakeover, entries, l.sources})
	}
	for _, service := range services {
		_, alone := oneAnswer(service)
		if entries := answered(service); service.Forward == config.Accept && !alone && len(entries) > 0 {
			roots = append(roots, root{rules.ServiceChain(service.Name), entries, l.sources})
		}
	}
	planned.Chains = l.buildTrees(roots...)
	planned.Sort()
	return planned
}

// root is a chain that a jump leads to.
type root struct {
	name    string
	entries []dispatchEntry
	most    int // rules without branches
}

// buildTrees returns the chains that the jumps lead to, and the trees below them.
func (l limits) buildTrees(roots ...root) []rules.Chain {
	trees := treeBuilder{limits: l, parts: map[part][]rules.Rule{}, named: map[string]bool{}}
	for _, root := range roots {
		trees.chains = append(trees.chains, rules.Chain{Name: root.name, Rules: trees.root(root.entries, root.most)})
	}
	return trees.chains
}

// familyOf returns the family of a service.
func familyOf(service config.Service) rules.Family {
	if service.Is6() {
		return rules.IPv6
	}
	return rules.IPv4
}

// dnat returns the target that leads what asks for a listen address to a backend. A range of ports that
// is the one that was asked for is kept, as without a port.
func dnat(asked config.Listen, backend config.Backend) rules.Target {
	target := rules.Target{Kind: rules.DNAT, Address: backend.Addr, Port: answerPort(asked, backend)}
	if asked.Shifts(backend) {
		target.Shift = rules.Shift{Last: asked.Answers(backend).Last, Asked: asked.Ports.First}
	}
	return target
}

// ports returns the ports of a listen address.
func ports(listen config.Listen) rules.Ports {
	return rules.Ports{First: listen.Ports.First, Last: listen.Ports.Last}
}

// loopback returns the addresses that belong to the host alone.
func loopback(family rules.Family) netip.Prefix {
	if family == rules.IPv6 {
		return netip.PrefixFrom(netip.IPv6Loopback(), 128)
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)
}
