package render

import (
	"net/netip"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// VirtualServices lists what services balance: for each service in order each listen
// address with each protocol, and the service's backends in their order, drained ones too.
func VirtualServices(services ...config.Service) []rules.VirtualService {
	var all []rules.VirtualService
	for _, service := range services {
		var backends []netip.AddrPort
		for i, listen := range service.Listen {
			if i == 0 || listen.To != service.Listen[i-1].To {
				backends = answering(listen, service.Backends)
			}
			for _, protocol := range service.Protocols {
				all = append(all, rules.VirtualService{
					Service: service.Name, Protocol: string(protocol), Address: listen.Addr, Ports: ports(listen),
					Backends: backends, Reset: service.OnRemove == config.Reset,
				})
			}
		}
	}
	return all
}

// answering returns where backends answer for a listen address; port 0 keeps the one that was
// asked.
func answering(listen config.Listen, backends []config.Backend) []netip.AddrPort {
	all := make([]netip.AddrPort, len(backends))
	for i, backend := range backends {
		all[i] = netip.AddrPortFrom(backend.Addr, answerPort(listen, backend))
	}
	return all
}
