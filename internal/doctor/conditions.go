package doctor

import (
	"fmt"
	"slices"

	"natspread/internal/config"
	"natspread/internal/doctor/inconfig"
	"natspread/internal/network"
	"natspread/internal/rules"
)

// Conditions finds what of some services this host does not bear out: interfaces, addresses
// and routes that are not there, connections that are not taken over, backends on the host
// itself that nobody reaches, and checks that it cannot make. What may come true later is a
// Risk, unless a service gets nothing until then. brief leaves out what takes longer than to list interfaces and addresses.
func (h Host) Conditions(services []config.Service, brief bool) []Finding {
	checks := []func(examination) []Finding{examination.interfaces, examination.addresses, examination.takeover}
	if !brief {
		checks = append(checks, examination.routes, examination.ownBackends, examination.ownChecks)
	}
	return h.run(services, checks)
}

// Advice finds what whoever writes services may not have meant: processes of the host that
// they take connections from, ports that several of theirs share, and what backends that see their clients
// have to be told.
func (h Host) Advice(services []config.Service) []Finding {
	return h.run(services, []func(examination) []Finding{examination.listeners, examination.ports, examination.returnPath})
}

// run runs checks that need no more than services and the network.
func (h Host) run(services []config.Service, checks []func(examination) []Finding) []Finding {
	read, err := h.readNetwork()
	if err != nil {
		return []Finding{cannotTell("which interfaces and addresses the host has", err)}
	}
	e := examination{Host: h, Balancer: Balancer{Services: services}, network: read, sockets: network.NewSockets(h.Proc)}
	if slices.ContainsFunc(services, keepsClient) {
		for _, family := range e.families() { // where it is not known who answered, nobody did
			e.flows[family], _ = readFlows(family, e.concerns())
		}
	}
	var found []Finding
	for _, check := range checks {
		found = append(found, check(e)...)
	}
	return found
}

// halves returns the services that one of the file became: two where it is of both families. name is
// that in the file, or that of one of the two.
func (e examination) halves(name string) []config.Service {
	var all []config.Service
	for _, service := range e.Services {
		if service.Written() == (config.Service{Name: name}).Written() {
			all = append(all, service)
		}
	}
	return all
}

// ownBackends looks for backends on the host itself whose process does not listen, or on a loopback
// address only: a packet that is sent to another address of the host finds nobody.
func (e examination) ownBackends() []Finding {
	var found []Finding
	for _, service := range e.Services {
		for _, backend := range service.Active() {
			if _, held := e.network.Holder(backend.Addr); !held {
				continue
			}
			for _, protocol := range service.Protocols {
				found = append(found, e.ownBackend(service, backend, protocol)...)
			}
		}
	}
	return found
}

// ownBackend looks at who listens for a backend on the host itself.
func (e examination) ownBackend(service config.Service, backend config.Backend, protocol config.Protocol) []Finding {
	open, err := e.sockets.Of(string(protocol), rules.FamilyOf(backend.Addr))
	if err != nil {
		return []Finding{cannotTell("who listens on "+string(protocol), err)}
	}
	var found []Finding
	for _, ports := range portsAt(service, backend) {
		here := network.OnPorts(open, ports.First, ports.Last)
		if len(here) == 0 && ports.First == ports.Last {
			found = append(found, Finding{Severity: Broken, What: fmt.Sprintf("backend %v of %s is this host, where nobody listens on %s %v: clients are refused", backend, service.Name, protocol, ports)})
		}
		for _, s := range here {
			reached := slices.ContainsFunc(here, func(o network.Socket) bool {
				return o.At.Port() == s.At.Port() && (o.At.Addr() == backend.Addr || o.At.Addr().IsUnspecified())
			})
			if reached || !s.At.Addr().IsLoopback() {
				continue
			}
			_, _, who := e.holderOf(s)
			found = append(found, Finding{
				Broken, fmt.Sprintf("backend %v of %s is this host, where %s listens on %s %v only: clients are refused", backend, service.Name, who, protocol, s.At),
				fmt.Sprintf("# let it listen on %v, in its own config", backend.Addr),
			})
		}
	}
	return found
}

// portsAt returns the ports that connections arrive at a backend on.
func portsAt(service config.Service, backend config.Backend) []config.Ports {
	var all []config.Ports
	known := map[config.Ports]bool{}
	for _, listen := range service.Listen {
		if at := listen.Answers(backend); !known[at] {
			known[at] = true
			all = append(all, at)
		}
	}
	return all
}

// ports looks for services of several ports whose connections do not stay together: they
// arrive at one port, or those of one client at several backends.
func (e examination) ports() []Finding {
	var found []Finding
	for _, service := range e.Services {
		asked := portsAt(service, config.Backend{})
		if len(asked) == 1 && asked[0].First == asked[0].Last {
			continue
		}
		if one := slices.IndexFunc(service.Backends, func(b config.Backend) bool { return b.Port != 0 && b.Last == 0 }); one >= 0 {
			backend := service.Backends[one]
			kept, check := backend, ""
			kept.Port = 0
			if service.Checked() && service.Check.Port == 0 { // or the config is refused
				check = fmt.Sprintf(", and port = %d in its check", backend.Port)
			}
			found = append(found, Finding{
				Risk, fmt.Sprintf("service %s listens on several ports, and all arrive at port %d of backend %v", service.Name, backend.Port, backend.Addr),
				inconfig.Line(service.Name, fmt.Sprintf("%q for %q, which keeps the port%s", kept, backend, check)),
			})
		}
		if len(service.Active()) > 1 && service.Algorithm != config.Source {
			found = append(found, Finding{
				Risk, fmt.Sprintf("service %s has several ports: what one client sends to two of them may reach two backends", service.Name),
				inconfig.Line(service.Name, fmt.Sprintf("algorithm = %q", config.Source)),
			})
		}
	}
	return found
}
