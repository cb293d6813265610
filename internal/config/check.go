package config

import (
	"fmt"
	"net/netip"
	"slices"

	"natspread/internal/config/field"
	"natspread/internal/config/source"
)

// check files what is wrong between the values of one service.
func (s inspection) check(d *draft) {
	s.checkPresent(d)
	s.checkFamily(d)
	s.checkRepeats(d)
	s.checkPorts(d)
	s.checkShift(d)
	s.checkHairpin(d)
	s.checkSources(d)
	s.checkSourcePorts(d)
	s.checkInterfaces(d)
	s.checkGate(d)
	s.checkTurns(d)
	s.checkSlots(d)
	s.checkClampMSS(d)
	s.checkTakeover(d)
	s.checkHealth(d)
}

// checkPresent files the keys every service needs. After a syntax error they
// may be there and unread.
func (s inspection) checkPresent(d *draft) {
	for _, name := range []string{"listen", "backends"} {
		if _, ok := d.keys.Of(name); !ok && !d.Broken {
			s.Refuse(d.At, "add "+exampleOf(name), "cannot use %s: it has no %s", d.label(), name)
		}
	}
}

// label is what a message calls the service.
func (d *draft) label() string {
	if d.name.Val == "" {
		return "this service"
	}
	return fmt.Sprintf("service %q", d.name.Val)
}

// family is the address family of the service and the place that decides it:
// the first backend, or the first listen address while no backend is good.
func (d *draft) family() (six bool, by source.Span, known bool) {
	for _, b := range d.backends {
		return b.Val.Addr.Is6(), b.At, true
	}
	for _, l := range d.listen {
		if !l.Val.Any() {
			return l.Val.Addr.Is6(), l.At, true
		}
	}
	return false, source.Span{}, false
}

// checkFamily files every address that is not of the service's family.
func (s inspection) checkFamily(d *draft) {
	six, by, known := d.family()
	if !known {
		return
	}
	verify := func(key string, a netip.Addr, at source.Span) {
		if a.IsValid() && a.Is6() != six {
			s.Refuse(at, d.familyFix(key, six),
				"cannot use %s %s: it is %s, but line %d makes the service %s",
				key, s.Show(at), familyName(!six), s.Line(by), familyName(six)).Related = s.Line(by)
		}
	}
	for i, l := range d.listen {
		if i == 0 || d.listen[i-1].At != l.At { // or it has several ports
			verify("listen", l.Val.Addr, l.At)
		}
	}
	for _, b := range d.backends {
		verify("backend", b.Val.Addr, b.At)
	}
	for _, h := range d.hairpin {
		verify("hairpin", h.Val.Addr(), h.At)
	}
	for _, allowed := range d.gate.allow {
		verify("allow", allowed.Val.Addr(), allowed.At)
	}
	for _, denied := range d.gate.deny {
		verify("deny", denied.Val.Addr(), denied.At)
	}
	for i, sources := range d.sources {
		if i == 0 || d.hasSource(six) { // or one fix is for all
			verify("snat", sources.Val.First, sources.At)
		}
	}
}

// familyFix is the fix for an address of another family than the service's, which is six or not.
func (d *draft) familyFix(key string, six bool) string {
	switch key {
	case "snat":
		if d.hasSource(six) {
			return "take it out"
		}
		if d.half {
			return `write snat = "masquerade", or addresses of both families`
		}
		return `write snat = "masquerade", or an ` + familyName(six) + " address"
	case "hairpin", "allow", "deny":
		return "take it out, or write a subnet of " + familyName(six)
	case "backend":
		return "take it out, or write a listen address that is " + familyName(!six) + " too"
	}
	return "natspread can't translate between the families: write a backend that is " + familyName(!six) + " too"
}

// hasSource tells whether a source address is of a family.
func (d *draft) hasSource(six bool) bool {
	return slices.ContainsFunc(d.sources, func(s field.Located[Sources]) bool { return s.Val.First.Is6() == six })
}

// familyName is how people call a family.
func familyName(six bool) string {
	if six {
		return "IPv6"
	}
	return "IPv4"
}

// checkRepeats files what a list names twice.
func (s inspection) checkRepeats(d *draft) {
	refuseRepeats(s, "protocol", d.protocols, func(p Protocol) Protocol { return p })
	refuseRepeats(s, "hairpin", d.hairpin, func(p netip.Prefix) netip.Prefix { return p })
	port, asked := d.onlyPort(), d.askedPorts()
	refuseRepeats(s, "backend", d.backends, func(b Backend) netip.AddrPort {
		switch {
		case b.Last != 0 && len(asked) == 1 && asked[0] == b.Ports():
			b.Port = 0
		case b.Port == 0:
			b.Port = port
		}
		return b.AddrPort()
	})
}

// refuseRepeats files the values of a list whose identity came before in it.
func refuseRepeats[T, ID comparable](s inspection, key string, list []field.Located[T], id func(T) ID) {
	seen := make(map[ID]source.Span, len(list))
	for _, l := range list {
		first, twice := seen[id(l.Val)]
		if !twice {
			seen[id(l.Val)] = l.At
			continue
		}
		fix := repeatFix(list, l, first)
		if key == "backend" {
			fix += "; weight = 2 gives a backend twice the share"
		}
		s.Refuse(l.At, fix, "cannot use %s %s: it is listed already on line %d",
			key, s.Show(l.At), s.Line(first)).Related = s.Line(first)
	}
}

// onlyPort is the port every client of the service asks for, or 0 where there
// are several. It is what a backend without a port gets.
func (d *draft) onlyPort() uint16 {
	var port uint16
	for i, l := range d.listen {
		p := l.Val.Ports
		if p.First != p.Last || i > 0 && p.First != port {
			return 0
		}
		port = p.First
	}
	return port
}

// checkHairpin files hairpin where every client is rewritten anyway. A snat that
// was refused may have been meant as "none".
func (s inspection) checkHairpin(d *draft) {
	at, given := d.keys.Of("hairpin")
	if given && !d.unread("snat", d.snat.At) && d.snat.Val.Mode != None {
		s.Refuse(at, `take hairpin out, or write snat = "none"`,
			`cannot use hairpin %s: only snat = "none" leaves clients to masquerade`, s.Show(at))
	}
}

// checkTurns files a round-robin that takes more rules than MaxTurns.
func (s inspection) checkTurns(d *draft) {
	if d.algorithm.Val != RoundRobin {
		return
	}
	if turns, _ := Turns(values(d.backends)); turns > MaxTurns {
		s.Refuse(d.algorithm.At, `write algorithm = "random", or smaller weights`,
			"cannot use algorithm %s: the weights make a period of %d turns, and %d are the most",
			s.Show(d.algorithm.At), turns, MaxTurns)
	}
}
