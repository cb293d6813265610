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
		backends := make([]netip.AddrPort, len(service.Backends))
		for i, backend := range service.Backends {
			backends[i] = backend.AddrPort()
		}
		for _, listen := range service.Listen {
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
