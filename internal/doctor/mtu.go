package doctor

import (
	"bytes"
	"fmt"
	"slices"

	"natspread/internal/config"
	"natspread/internal/network"
	"natspread/internal/rules"
)

// narrowing is two interfaces: packets that come in by one leave by the other, and that one
// takes only shorter ones.
type narrowing struct {
	family  rules.Family
	in, out network.Link
}

// narrower looks for ways to backends that take shorter packets than those by which clients
// come in. The kernel then tells the sender, by ICMP; where that is lost, and firewalls drop
// it often, a connection stands still at its first long packet. A rule that corrects what
// both ends say of their packets (TCPMSS) helps TCP.
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
				if known && there && err == nil && !to.Local && out.MTU < in.MTU {
					ways.add(narrowing{familyOf(service), in, out}, service.Name)
				}
			}
		}
	}
	var found []Finding
	for _, way := range ways.keys {
		found = append(found, Finding{
			Risk, fmt.Sprintf("packets of %s come in by %s with up to %d bytes, and %s takes %d: a connection stands still when the ICMP message about that is lost",
				few(ways.values[way]), way.in.Name, way.in.MTU, way.out.Name, way.out.MTU),
			rules.Program(way.family, e.Variant, "") + " -t mangle -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
		})
	}
	return found
}

// clamps tells whether a rule of a family corrects the length of segments.
func (e examination) clamps(family rules.Family) bool {
	return e.mangles(family, func(rule rules.SavedRule) bool { return rule.JumpsTo() == "TCPMSS" }) || slices.ContainsFunc(e.Native, func(table rules.NativeTable) bool { return bytes.Contains(table.Text, []byte("maxseg size set")) })
}
