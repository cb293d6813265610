package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// The layouts whose price is asked: a service whose connections another balancer can take over,
// the same rules without a tree, and the same service without any of them.
const (
	nameTakeover   = "takeover"
	nameInARow     = "takeover in a row"
	nameNoTakeover = "no takeover"
)

// Who is asked for. A backend that begins a connection of its own meets most of these rules.
const (
	nameService   = "its service"
	nameByBackend = "a backend's own"
)

// takeoverName is the name of a figure of one service.
func takeoverName(layout string, backends int, asked, variant string) string {
	return fmt.Sprintf("%s, %s backends, %s, %s", layout, thousands(backends), asked, variant)
}

// takeoverProbes are the figures of the rules for what backends say first, which POST has.
func takeoverProbes(variant string, size sizes) []probe {
	var probes []probe
	elsewhere := netip.MustParseAddrPort("203.0.113.9:443")
	for _, one := range size.takeover {
		s := apart(one.backends)
		alone := bySource(one.slots) + "\nsnat = \"none\""
		for _, l := range []*layout{
			{nameNoTakeover, variant, func() ([]byte, error) { return natspreadWith([]service{s}, alone) }},
			{nameTakeover, variant, func() ([]byte, error) { return natspreadWith([]service{s}, alone+"\ntakeover = true") }},
			{nameInARow, variant, func() ([]byte, error) { return inARow(s, alone) }},
		} {
			own := asking(takeoverName(l.name, one.backends, nameService, variant), l, []service{s}, s)
			own.crowd = true
			begun := through(takeoverName(l.name, one.backends, nameByBackend, variant), l, elsewhere)
			begun.from = s.backends[one.backends-1].Addr()
			begun.source = begun.from
			probes = append(probes, own, through(takeoverName(l.name, one.backends, stranger, variant), l, elsewhere), begun)
		}
	}
	return probes
}

// apart makes one service of many backends, of which no two are side by side, so that no
// prefix can stand for several.
func apart(backends int) service {
	s := service{listen: serviceAddress(0)}
	for i := range backends {
		s.backends = append(s.backends, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 6), byte(i), byte(1 + i%7)}), 80))
	}
	return s
}

// inARow returns natspread's rules of a service without takeover, and behind those of POST one
// rule for each backend: what takeover would add without a tree.
func inARow(s service, line string) ([]byte, error) {
	text, err := natspreadWith([]service{s}, line)
	if err != nil {
		return nil, err
	}
	var row strings.Builder
	for _, b := range s.backends {
		fmt.Fprintf(&row, "-A NATSPREAD-POST -s %v/32 -p tcp -m tcp --sport %d -j SNAT --to-source %v\n", b.Addr(), b.Port(), s.listen)
	}
	return []byte(strings.Replace(string(text), "COMMIT\n", row.String()+"COMMIT\n", 1)), nil
}

// takeoverTargets prints the ratios that are wanted of them: takeover costs a service's
// connections nothing, and nobody much.
func takeoverTargets(f figures, variant string, size sizes) {
	for _, one := range size.takeover {
		for _, who := range []struct {
			asked string
			most  float64
		}{{nameService, 1.1}, {stranger, 1.1}, {nameByBackend, 1.25}} {
			ours := takeoverName(nameTakeover, one.backends, who.asked, variant)
			f.ratio(ours, takeoverName(nameNoTakeover, one.backends, who.asked, variant), who.most)
			if who.asked != nameService { // POST lets those through before all this
				f.ratio(ours, takeoverName(nameInARow, one.backends, who.asked, variant), 0)
			}
		}
	}
}
