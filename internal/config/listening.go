package config

import (
	"net/netip"
	"slices"
)

// Listening returns the service that listens for connections to an address, and whether by
// "*"; the zero Service where none does. No two services of one config listen for the same.
func (c Config) Listening(protocol Protocol, to netip.AddrPort) (service Service, byAny bool) {
	for _, service := range c.Services {
		if service.Is6() != to.Addr().Is6() || !slices.Contains(service.Protocols, protocol) {
			continue
		}
		for _, listen := range service.Listen {
			if (listen.Any() || listen.Addr == to.Addr()) && listen.Ports.Contains(to.Port()) {
				return service, listen.Any()
			}
		}
	}
	return Service{}, false
}
