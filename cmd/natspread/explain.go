package main

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/trace"
)

// question is what render --explain asks: what becomes of this packet?
type question struct {
	packet  rules.Packet   // as PREROUTING would see it; no source is a stranger's
	service config.Service // that listens for it; without a name when none does
	any     bool           // by "*"
}

// ask reads the question from the flags. The balancer's own addresses are not known
// without a kernel, so the one that is asked for is taken for one of them.
func (o options) ask(cfg config.Config) (question, error) {
	packet, err := parsePacket(o.explain)
	if err != nil {
		return question{}, err
	}
	family := rules.FamilyOf(packet.Destination)
	switch {
	case o.family4 && family == rules.IPv6, o.family6 && family == rules.IPv4:
		return question{}, usageErrorf("--explain %q is an address of %v: leave -4 and -6 out", o.explain, family)
	case strings.ContainsFunc(o.in, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		return question{}, usageErrorf("--in %q is no name of an interface", o.in)
	case o.from != "":
		packet.Source, err = netip.ParseAddr(o.from)
		if err != nil || rules.FamilyOf(packet.Source) != family {
			return question{}, usageErrorf("--from %q is no address of %v: give that of a client", o.from, family)
		}
	}
	asked := question{packet: packet}
	asked.service, asked.any = listening(cfg, packet)
	asked.packet.InInterface = o.in
	if o.in == "" {
		asked.packet.InInterface = asked.service.Interface
	}
	return asked, nil
}

// parsePacket reads ADDRESS:PORT[/PROTOCOL].
func parsePacket(text string) (rules.Packet, error) {
	where, protocol, named := strings.Cut(text, "/")
	if !named {
		protocol = string(config.TCP)
	}
	to, err := netip.ParseAddrPort(where)
	known := slices.Contains([]config.Protocol{config.TCP, config.UDP, config.SCTP}, config.Protocol(protocol))
	if err != nil || to.Port() == 0 || to.Addr().Zone() != "" || to.Addr().Is4In6() || !known {
		return rules.Packet{}, usageErrorf("cannot explain %q: give ADDRESS:PORT, and another protocol than tcp behind it: 192.0.2.10:80, [2001:db8::10]:53/udp", text)
	}
	return rules.Packet{Protocol: protocol, Destination: to.Addr(), Port: to.Port(), Local: true}, nil
}

// listening returns the service that listens for a packet, and whether by "*". No two
// do in one config.
func listening(cfg config.Config, packet rules.Packet) (service config.Service, any bool) {
	for _, service := range cfg.Services {
		if service.Is6() != packet.Destination.Is6() || !slices.Contains(service.Protocols, config.Protocol(packet.Protocol)) {
			continue
		}
		for _, listen := range service.Listen {
			here := listen.Any() || listen.Addr == packet.Destination
			if here && listen.Ports.First <= packet.Port && packet.Port <= listen.Ports.Last {
				return service, listen.Any()
			}
		}
	}
	return config.Service{}, false
}

// explain prints what becomes of a packet.
func (s *session) explain(o options, c checked) error {
	asked, err := o.ask(c.config)
	if err != nil {
		return err
	}
	explained, err := trace.Explain(c.tables, asked.packet)
	if err != nil {
		return err
	}
	if o.json {
		return s.printJSON(explainResultOf(asked, explained))
	}
	return s.print(explainText(asked, explained, o.verbose))
}
