package doctor

import (
	"bytes"
	"fmt"
	"slices"

	"natspread/internal/config"
	"natspread/internal/doctor/inconfig"
	"natspread/internal/network"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// narrowing is two interfaces: packets that come in by one leave by the other, and that one
// takes only shorter ones.
type narrowing struct {
	family  rules.Family
	in, out network.Link
}

// narrower looks for ways to backends that take shorter packets than those by which clients
// come in. The kernel then tells the sender, by ICMP; where that is lost, and firewalls drop
// it often, a connection stands still at its first long packet. What corrects what both ends say of
// their segments, clamp_mss or a rule of somebody else's (TCPMSS), helps TCP.
func (e examination) narrower() []Finding {
	var ways groups[narrowing, string]
	for _, service := range e.Services {
		if !slices.Contains(service.Protocols, config.TCP) || e.clamps(familyOf(service)) {
			continue
		}
		for _, listen := range service.Listen {
			in, known := e.network.Named(e.comesIn(service, listen))
			for _, backend := range service.Active() {
				to, err := e.network.RouteTo(backend.Addr)
				out, there := e.network.Named(to.Link)
				if known && there && err == nil && !to.Local && out.MTU < in.MTU && !fits(service, out.MTU) {
					ways.add(narrowing{familyOf(service), in, out}, service.Written())
				}
			}
		}
	}
	var found []Finding
	for _, way := range ways.keys {
		found = append(found, Finding{
			Severity: Risk, What: fmt.Sprintf("packets of %s come in by %s with up to %d bytes, and %s takes %d: a connection stands still when the ICMP message about that is lost",
				text.Few(ways.values[way]), way.in.Name, way.in.MTU, way.out.Name, way.out.MTU),
			Fix: inconfig.Line(text.Few(ways.values[way]), "clamp_mss = true"),
		})
	}
	return found
}

// fits tells whether clamp_mss of a service keeps its segments within packets of so many bytes.
func fits(service config.Service, mtu int) bool {
	headers := 40
	if service.Is6() {
		headers = 60
	}
	return service.ClampMSS.On && service.ClampMSS.Segment <= mtu-headers
}

// clamps tells whether a rule of somebody else's corrects the length of segments in a family. Those of
// natspread's are for some services only.
func (e examination) clamps(family rules.Family) bool {
	corrects := func(chain rules.SavedChain, rule rules.SavedRule) bool {
		return !rules.IsOwn(chain.Name) && rule.JumpsTo() == "TCPMSS"
	}
	return e.mangles(family, corrects) || slices.ContainsFunc(e.Native, func(table rules.NativeTable) bool { return bytes.Contains(table.Text, []byte("maxseg size set")) })
}
