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
	return Plan{IPv4: table(nat.IPv4, cfg.Services), IPv6: table(nat.IPv6, cfg.Services)}
}

// table plans the table of one family from those services that belong to it.
func table(family nat.Family, services []config.Service) nat.Table {
	pre := nat.Chain{Name: nat.ServicePre}
	out := nat.Chain{Name: nat.ServiceOut}
	post := nat.Chain{Name: nat.ServicePost}
	planned := nat.Table{Family: family}
	for _, service := range services {
		if familyOf(service) != family {
			continue
		}
		pre.Rules = appendPre(pre.Rules, service)
		out.Rules = appendOut(out.Rules, service)
		post.Rules = appendPost(post.Rules, service)
		planned.Chains = append(planned.Chains, serviceChain(service))
	}
	if planned.Empty() {
		return planned
	}
	planned.Chains = append(planned.Chains, pre, out, post)
	planned.Sort()
	return planned
}

// familyOf returns the family of a service.
func familyOf(service config.Service) nat.Family {
	if service.Is6() {
		return nat.IPv6
	}
	return nat.IPv4
}

// appendPre appends the rules that send what comes in for a service to its chain.
func appendPre(rules []nat.Rule, service config.Service) []nat.Rule {
	for rule := range claims(service) {
		rule.InInterface = service.Interface
		rules = append(rules, rule)
	}
	return rules
}

// appendOut appends the same for connections made on the balancer itself, which
// never pass PREROUTING. With "*" the loopback addresses, local as they are, stay
// out of it: the host's own localhost services stay its own.
func appendOut(rules []nat.Rule, service config.Service) []nat.Rule {
	if !service.Local {
		return rules
	}
	for rule := range claims(service) {
		if rule.LocalDestination {
			rule.NotDestination = loopback(familyOf(service))
		}
		rules = append(rules, rule)
	}
	return rules
}

// claims yields, for each listen address and protocol, the rule that claims it
// for the service's chain.
func claims(service config.Service) func(yield func(nat.Rule) bool) {
	return func(yield func(nat.Rule) bool) {
		for _, listen := range service.Listen {
			for _, protocol := range service.Protocols {
				rule := nat.Rule{
					Protocol:         string(protocol),
					DestinationPorts: ports(listen),
					LocalDestination: listen.Any(),
					Target:           nat.Target{Kind: nat.Jump, Chain: nat.ServiceChain(service.Name)},
				}
				if !listen.Any() {
					rule.Destination = host(listen.Addr)
				}
				if !yield(rule) {
					return
				}
			}
		}
	}
}

// appendPost appends the rules that rewrite the source of the service's
// connections, so that the backends' answers come back through here.
func appendPost(rules []nat.Rule, service config.Service) []nat.Rule {
	target := nat.Target{Kind: nat.Masquerade}
	sources := []netip.Prefix{{}} // no condition
	switch service.SNAT.Mode {
	case config.Address:
		target = nat.Target{Kind: nat.SNAT, Address: service.SNAT.Addr}
	case config.None:
		sources = service.Hairpin
	}
	for _, source := range sources {
		for rule := range translated(service) {
			rule.Source = source
			rule.Target = target
			rules = append(rules, rule)
		}
	}
	return rules
}

// translated yields the rules that match the service's connections, and no one
// else's, once their destination was rewritten: by what they asked for, and for
// "*", which is no address to ask for, by the backend that they go to.
func translated(service config.Service) func(yield func(nat.Rule) bool) {
	return func(yield func(nat.Rule) bool) {
		active := activeBackends(service)
		for _, listen := range service.Listen {
			for _, protocol := range service.Protocols {
				rule := nat.Rule{
					Protocol:        string(protocol),
					Translated:      true,
					OriginalAddress: listen.Addr,
					OriginalPorts:   ports(listen),
				}
				if !yieldTranslated(rule, listen, active, yield) {
					return
				}
			}
		}
	}
}

// yieldTranslated yields the rule of one listen address and protocol, for "*"
// once a backend. A service without active backends translates nothing.
func yieldTranslated(rule nat.Rule, listen config.Listen, active []config.Backend, yield func(nat.Rule) bool) bool {
	if len(active) == 0 {
		return true
	}
	if !listen.Any() {
		return yield(rule)
	}
	for _, backend := range active {
		rule.Destination = host(backend.Addr)
		rule.DestinationPorts = nat.Ports{First: backend.Port, Last: backend.Port}
		if !yield(rule) {
			return false
		}
	}
	return true
}

// serviceChain plans the chain that picks a backend.
func serviceChain(service config.Service) nat.Chain {
	chain := nat.Chain{Name: nat.ServiceChain(service.Name)}
	picks := picks(service)
	for _, protocol := range service.Protocols {
		for _, pick := range picks {
			pick.Protocol = string(protocol)
			chain.Rules = append(chain.Rules, pick)
		}
	}
	return chain
}

// picks returns the rules that pick a backend, for any protocol. The last one
// takes all that is left, so nothing falls through to the balancer's own ports.
// With every backend drained it refuses: port 0 of the balancer, where the kernel
// lets no socket listen, answers TCP with a reset, UDP with "port unreachable"
// and SCTP with an abort. REJECT exists in the filter table only.
func picks(service config.Service) []nat.Rule {
	backends := activeBackends(service)
	if len(backends) == 0 {
		return []nat.Rule{{Target: nat.Target{Kind: nat.Redirect}}}
	}
	if service.Algorithm == config.RoundRobin {
		return roundRobin(backends)
	}
	return random(backends)
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

// host returns the prefix of one address.
func host(address netip.Addr) netip.Prefix {
	return netip.PrefixFrom(address, address.BitLen())
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
