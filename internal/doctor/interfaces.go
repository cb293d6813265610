package doctor

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/doctor/inconfig"
	"natspread/internal/network"
	"natspread/internal/rules"
)

// interfaces looks for interfaces of services that are not there, and for those by whose
// name no packet comes in.
func (e examination) interfaces() []Finding {
	var found []Finding
	for _, service := range e.Services {
		found = append(found, e.interfacesOf(service)...)
	}
	return found
}

// interfacesOf looks at the interfaces of a service. A pattern is at fault only if each interface that
// it stands for is.
func (e examination) interfacesOf(service config.Service) []Finding {
	var found []Finding
	for _, named := range service.Interfaces {
		var of []Finding
		links := e.network.Like(named)
		for _, link := range links {
			if finding, faulty := e.interfaceOf(service, named, link); faulty {
				of = append(of, finding)
			}
		}
		switch {
		case len(links) == 0:
			found = append(found, e.noInterface(service, named))
		case len(of) == len(links):
			found = append(found, of[0])
		}
	}
	return found
}

// noInterface is the finding of a name that no interface has. Where the service names no other one that is
// there, nobody is served. A pattern is for those that come and go.
func (e examination) noInterface(service config.Service, named string) Finding {
	found := Finding{Severity: Risk, What: fmt.Sprintf("service %s: there is no interface %s, so nothing comes in by it", service.Name, named), Of: finding.Subject{Kind: "interfaces of services do not exist", Name: named, Services: []string{service.Name}}}
	if !slices.ContainsFunc(service.Interfaces, func(name string) bool { return strings.HasSuffix(name, "+") || len(e.network.Like(name)) > 0 }) {
		found.Severity = Broken
	}
	if likely := e.likelyLink(service); likely != "" {
		found.Fix = inconfig.Interface(service, named, likely)
	}
	return found
}

// interfaceOf looks at one interface of a service. The nat table meets a packet of a VRF by
// the interface that it came in by, and only then by the VRF (vrf.rst).
func (e examination) interfaceOf(service config.Service, named string, link network.Link) (found Finding, faulty bool) {
	if link.Kind == "vrf" {
		return Finding{Severity: Risk, What: fmt.Sprintf("service %s: %s is a VRF: connections are balanced by the name of the interface that they come in by, which is a part of it", service.Name, link.Name), Of: finding.Subject{Kind: "interfaces of services are VRFs", Name: link.Name, Services: []string{service.Name}}}, true
	}
	whole := e.network.Whole(link)
	if rules.IsLink(named, whole.Name) {
		return Finding{}, false
	}
	what := "nothing is balanced"
	if len(service.Interfaces) > 1 {
		what = "nothing is balanced by the name " + named
	}
	return Finding{
		Severity: Broken, What: fmt.Sprintf("service %s: %s is a part of the %s %s, by whose name its packets come in: %s", service.Name, link.Name, whole.Kind, whole.Name, what),
		Fix: inconfig.Interface(service, named, whole.Name), Of: finding.Subject{Kind: "interfaces of services are parts of another one", Name: link.Name, Services: []string{service.Name}},
	}, true
}

// likelyLink returns the interface that connections of a service come in by, whatever the
// config says; "" where that is not known, or another service at the same address has it.
func (e examination) likelyLink(service config.Service) string {
	service.Interfaces = nil
	for _, listen := range service.Listen {
		if name := e.comesIn(service, listen); name != "" && !e.meetsAnother(service, name) {
			return name
		}
	}
	return ""
}

// meetsAnother tells whether a service would take packets of another one if it named an interface.
func (e examination) meetsAnother(service config.Service, link string) bool {
	service.Interfaces = []string{link}
	return slices.ContainsFunc(e.beside(service), func(o config.Service) bool { return !o.Apart(service.Audience) })
}

// beside returns the other services that share a listen address with one.
func (e examination) beside(service config.Service) []config.Service {
	var all []config.Service
	for _, o := range e.Services {
		shares := func(l config.Listen) bool {
			return slices.ContainsFunc(o.Listen, func(other config.Listen) bool { return other.Addr == l.Addr && other.Ports.Overlaps(l.Ports) })
		}
		if o.Name != service.Name && o.Is6() == service.Is6() && slices.ContainsFunc(service.Listen, shares) {
			all = append(all, o)
		}
	}
	return all
}
