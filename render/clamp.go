package render

import (
	"natspread/internal/config"
	"natspread/internal/rules"
)

// mangle plans the part of the mangle table of one family from its services.
func (l limits) mangle(family rules.Family, services []config.Service) rules.Table {
	planned := rules.Table{Family: family, Name: rules.Mangle}
	entries := clamped(services)
	if len(entries) == 0 {
		return planned
	}
	planned.Chains = l.buildTrees(root{rules.ServiceMSS, entries, l.sources})
	planned.Sort()
	return planned
}

// clamped returns entries of the connections whose ends are made to send shorter segments. Each rule is
// for both packets of the handshake: what one end says of the segments that it takes, the other one
// keeps to. What clients asked for tells the connections; for "*", which is no address to ask for, the
// backend that answers does, as in forwarded.
func clamped(services []config.Service) []dispatchEntry {
	var entries []dispatchEntry
	together := togetherOf(services)
	for _, service := range services {
		if !service.ClampMSS.On {
			continue
		}
		for entry := range asked(service) {
			if entry.protocol != string(config.TCP) {
				continue
			}
			rule := rules.Rule{
				Protocol: entry.protocol, Handshake: true, ConnectionProtocol: entry.protocol,
				OriginalDestination: host(entry.address), OriginalPorts: entry.ports,
				Target: rules.Target{Kind: rules.ClampMSS, Segment: uint16(service.ClampMSS.Segment)},
			}
			if entry.address.IsValid() {
				entry.side, entry.rules = clamp, []rules.Rule{rule}
				if len(together[placeOf(entry)]) > 0 { // whose services have no backend in common
					entry.rules = byBackend(service, entry, rule)
				}
				entries = append(entries, entry)
				continue
			}
			entries = append(entries, backendEntries(service, entry, backendClamp, rule)...)
		}
	}
	return entries
}
