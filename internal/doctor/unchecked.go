package doctor

import (
	"context"
	"fmt"
	"net/netip"

	"natspread/internal/config"
	"natspread/internal/doctor/asked"
	"natspread/internal/doctor/finding"
	"natspread/internal/doctor/inconfig"
	"natspread/internal/text"
)

// loopback is the interface of what the host says to itself: nothing is behind it.
const loopback = "lo"

// Unchecked asks backends that nobody checks, and says which services nobody can tell of. A
// connection is opened and closed, so it is no part of what status does. said is what was found so
// far: backends and services that it calls broken are not asked, as what breaks them would break that, too,
// nor backends on this host, whose listeners are looked at.
func (h Host) Unchecked(services []config.Service, said []Finding) []Finding {
	read, err := h.readNetwork()
	if err != nil {
		return nil
	}
	lost := finding.Lost(said)
	ask := func(service config.Service, addr netip.Addr) bool {
		to, err := read.RouteTo(addr)
		return err == nil && to.Link != loopback && !lost.Has(service.Name, addr)
	}
	var found []Finding
	var left []string
	for _, service := range asked.All(context.Background(), services, ask) {
		if service.Left {
			left = append(left, service.Name)
		}
		if len(service.Silent) > 0 {
			found = append(found, Finding{Severity: Broken, What: service.What(), Fix: service.Fix(), Loss: finding.Loss{Services: []string{service.Name}}})
			if keepsClient(service.Service) || !service.Refuse() { // who lets clients in may drop what this host sends
				found[len(found)-1].Severity = Risk
			}
		}
	}
	if len(left) > 0 {
		found = append(found, Finding{
			Severity: Risk, What: fmt.Sprintf("nobody knows whether the backends of %s answer: there is no check, and doctor cannot ask them", text.Few(left)),
			Fix: inconfig.Line(left[0], `check = { type = "TYPE", port = PORT }, of what answers there`),
		})
	}
	return found
}
