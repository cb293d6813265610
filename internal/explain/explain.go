// Package explain reads which packet is asked about, and which service it is for.
package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/trace"
)

// Words are what is typed: the values of --explain, --in and --from, and the families that -4 and -6 choose.
type Words struct {
	To, In, From string
	Families     []rules.Family
}

// Question reads what is asked of a config. The balancer's own addresses are not known
// without a kernel, so the address that is asked about counts as one of them.
func (w Words) Question(cfg config.Config) (trace.Question, error) {
	packet, err := parsePacket(w.To)
	if err != nil {
		return trace.Question{}, err
	}
	family := rules.FamilyOf(packet.Destination)
	switch {
	case !slices.Contains(w.Families, family):
		return trace.Question{}, fmt.Errorf("--explain %q is an address of %v: leave -4 and -6 out", w.To, family)
	case strings.ContainsFunc(w.In, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		return trace.Question{}, fmt.Errorf("--in %q is no name of an interface", w.In)
	case w.From != "":
		packet.Source, err = netip.ParseAddr(w.From)
		if err != nil || rules.FamilyOf(packet.Source) != family {
			return trace.Question{}, fmt.Errorf("--from %q is no address of %v: give that of a client", w.From, family)
		}
	}
	packet.InInterface = w.In
	service, byAny := serviceOf(cfg, packet)
	if w.In == "" && len(service.Interfaces) > 0 {
		packet.InInterface = service.Interfaces[0]
	}
	return trace.Question{Packet: packet, Service: service.Name, Any: byAny, Clients: slices.Concat(service.Hairpin, service.Allow, service.Deny)}, nil
}

// serviceOf returns the service that a packet is for, and whether it listens by "*". A packet without
// an interface is for each service that listens there, and one without a client for each that has no
// allow. If it is for none, the first that listens there is returned.
func serviceOf(cfg config.Config, packet rules.Packet) (first config.Service, byAny bool) {
	for service, star := range cfg.Listening(config.Protocol(packet.Protocol), netip.AddrPortFrom(packet.Destination, packet.Port)) {
		comes := packet.InInterface == "" || service.ComesBy(packet.InInterface)
		serves := len(service.Allow) == 0
		if packet.Source.IsValid() {
			serves = service.Serves(packet.Source)
		}
		if comes && serves {
			return service, star
		}
		if first.Name == "" {
			first, byAny = service, star
		}
	}
	return first, byAny
}

// parsePacket reads ADDRESS:PORT[/PROTOCOL].
func parsePacket(text string) (rules.Packet, error) {
	where, protocol, named := strings.Cut(text, "/")
	if !named {
		protocol = string(config.TCP)
	}
	to, err := netip.ParseAddrPort(where)
	if err != nil || to.Port() == 0 || to.Addr().Zone() != "" || to.Addr().Is4In6() || rules.ProtocolNumber(protocol) == 0 {
		return rules.Packet{}, fmt.Errorf("cannot explain %q: give ADDRESS:PORT, and another protocol than tcp behind it: 192.0.2.10:80, [2001:db8::10]:53/udp", text)
	}
	return rules.Packet{Protocol: protocol, Destination: to.Addr(), Port: to.Port(), Local: true}, nil
}
