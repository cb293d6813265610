package config

import (
	"iter"
	"net/netip"
	"slices"
)

// Listening yields the services that listen for connections to an address, and whether by "*".
// There are several only where interfaces or clients tell them apart.
func (c Config) Listening(protocol Protocol, to netip.AddrPort) iter.Seq2[Service, bool] {
	return func(yield func(service Service, byAny bool) bool) {
		for _, service := range c.Services {
			if service.Is6() != to.Addr().Is6() || !slices.Contains(service.Protocols, protocol) {
				continue
			}
			has := func(l Listen) bool { return (l.Any() || l.Addr == to.Addr()) && l.Ports.Contains(to.Port()) }
			if at := slices.IndexFunc(service.Listen, has); at >= 0 && !yield(service, service.Listen[at].Any()) {
				return
			}
		}
	}
}
