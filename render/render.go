// Package render turns a checked config into the nat tables that spread its
// connections, and walks a packet through them to say where it would go.
//
// It is pure: the same config gives the same bytes. It knows no file, process,
// clock, environment or systemd.
package render

import (
	"net/netip"

	"natspread/config"
	"natspread/nat"
)

// Plan is what the kernel is to hold for a config: one table a family. A family
// without services has an empty table.
type Plan struct{ IPv4, IPv6 nat.Table }

// Table returns the plan's table of a family.
func (p Plan) Table(family nat.Family) nat.Table {
	if family == nat.IPv6 {
		return p.IPv6
	}
	return p.IPv4
}

// New plans the tables for a config. Every config that config.Parse returns has
// a plan, so there is no error.
func New(cfg config.Config) Plan {
	return measured.plan(cfg)
}

// plan plans the tables for a config in a layout.
func (l layout) plan(cfg config.Config) Plan {
	return Plan{IPv4: l.table(nat.IPv4, cfg.Services), IPv6: l.table(nat.IPv6, cfg.Services)}
}

// table plans the table of one family from those services that belong to it.
func (l layout) table(family nat.Family, services []config.Service) nat.Table {
	planned := nat.Table{Family: family}
	var own []config.Service
	for _, service := range services {
		if familyOf(service) == family {
			own = append(own, service)
			planned.Chains = append(planned.Chains, l.serviceChains(service)...)
		}
	}
	if planned.Empty() {
		return planned
	}
	planned.Chains = append(planned.Chains, l.roots(own)...)
	planned.Sort()
	return planned
}

// roots returns the three chains that the jumps lead to, and the trees below them.
func (l layout) roots(services []config.Service) []nat.Chain {
	trees := planter{layout: l, parts: map[part][]nat.Rule{}, named: map[string]bool{}}
	for _, root := range []struct {
		name   string
		claims []claim
		most   int
	}{
		{nat.ServicePre, incoming(services), l.claims},
		{nat.ServiceOut, outgoing(services), l.claims},
		{nat.ServicePost, translated(services), l.sources},
	} {
		trees.chains = append(trees.chains, nat.Chain{Name: root.name, Rules: trees.root(root.claims, root.most)})
	}
	return trees.chains
}

// familyOf returns the family of a service.
func familyOf(service config.Service) nat.Family {
	if service.Is6() {
		return nat.IPv6
	}
	return nat.IPv4
}

// activeBackends returns the backends that get new connections.
func activeBackends(service config.Service) []config.Backend {
	var active []config.Backend
	for _, backend := range service.Backends {
		if backend.Weight > 0 {
			active = append(active, backend)
		}
	}
	return active
}

// dnat returns the target that leads to a backend.
func dnat(backend config.Backend) nat.Target {
	return nat.Target{Kind: nat.DNAT, Address: backend.Addr, Port: backend.Port}
}

// ports returns the ports of a listen address.
func ports(listen config.Listen) nat.Ports {
	return nat.Ports{First: listen.Ports.First, Last: listen.Ports.Last}
}

// loopback returns the addresses that belong to the host alone.
func loopback(family nat.Family) netip.Prefix {
	if family == nat.IPv6 {
		return netip.PrefixFrom(netip.IPv6Loopback(), 128)
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)
}
