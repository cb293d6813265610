package render

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// asks returns the conditions by which a pair of ports is told from the other ones.
func (p *selector) asks(pair config.Listen) (netip.Prefix, rules.Ports) {
	own := func(other config.Listen) bool {
		return other.Addr != pair.Addr && other.Ports.First <= pair.Ports.Last && pair.Ports.First <= other.Ports.Last
	}
	if slices.ContainsFunc(p.pairs, own) {
		return host(pair.Addr), ports(pair)
	}
	return netip.Prefix{}, ports(pair)
}
