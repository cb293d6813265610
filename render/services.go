package render

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// VirtualServices lists what services balance: for each service in order each listen
// address with each protocol, and the service's backends in their order, drained ones too.
func VirtualServices(services ...config.Service) []rules.VirtualService {
	var all []rules.VirtualService
	for _, service := range services {
		var backends []netip.AddrPort
		var shifted bool
		ranged := slices.ContainsFunc(service.Backends, func(b config.Backend) bool { return b.Last != 0 })
		for i, listen := range service.Listen {
			if i == 0 || listen.To != service.Listen[i-1].To || (ranged || listen.To != 0) && listen.Ports != service.Listen[i-1].Ports {
				backends, shifted = answering(listen, service.Backends), slices.ContainsFunc(service.Backends, listen.Shifts)
			}
			for _, protocol := range service.Protocols {
				all = append(all, rules.VirtualService{
					Service: service.Name, Protocol: string(protocol), Address: listen.Addr, Ports: ports(listen),
					Backends: backends, Shifted: shifted, Reset: service.OnRemove == config.Reset,
				})
			}
		}
	}
	return all
}

// answering returns where backends answer for a listen address, or for the first port of a range that
// they shift; port 0 keeps the one that was asked.
func answering(listen config.Listen, backends []config.Backend) []netip.AddrPort {
	all := make([]netip.AddrPort, len(backends))
	for i, backend := range backends {
		all[i] = netip.AddrPortFrom(backend.Addr, answerPort(listen, backend))
	}
	return all
}
