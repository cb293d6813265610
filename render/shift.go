package render

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// asks returns the conditions that tell a pair of ports from the other pairs: its ports, and its
// address where another address has some of these ports, too.
func (p *selector) asks(pair config.Listen) (netip.Prefix, rules.Ports) {
	meets := func(other config.Listen) bool { return other.Addr != pair.Addr && other.Ports.Overlaps(pair.Ports) }
	if slices.ContainsFunc(p.pairs, meets) {
		return host(pair.Addr), ports(pair)
	}
	return netip.Prefix{}, ports(pair)
}
