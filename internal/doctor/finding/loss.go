package finding

import "net/netip"

// Loss is which connections do not reach a backend, or get no answer from it. Those of Subject.Services
// are part of it.
type Loss struct {
	All      bool         // every balanced connection
	Services []string     // those of these services
	Backends []netip.Addr // those to these addresses
	AtRisk   bool         // those to these addresses also where it is a risk only: for want of a route, or of a free port
}

// Losses are the connections that some findings are about.
type Losses struct {
	all      bool
	services map[string]bool
	backends map[netip.Addr]bool
}

// Lost returns which connections are lost now. What is only a risk says nothing about now, but for AtRisk.
func Lost(found []Finding) Losses {
	lost := Losses{services: map[string]bool{}, backends: map[netip.Addr]bool{}}
	for _, f := range found {
		if f.Severity == Broken {
			lost.all = lost.all || f.Loss.All
			for _, names := range [][]string{f.Of.Services, f.Loss.Services} {
				for _, name := range names {
					lost.services[name] = true
				}
			}
		}
		if f.Severity == Broken || f.Loss.AtRisk {
			for _, addr := range f.Loss.Backends {
				lost.backends[addr] = true
			}
		}
	}
	return lost
}

// Has tells whether the connections of a service to a backend are among them.
func (l Losses) Has(service string, backend netip.Addr) bool {
	return l.all || l.services[service] || l.backends[backend]
}
