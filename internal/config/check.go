package config

import (
	"fmt"
	"net/netip"
)

// check files what is wrong between the values of one service.
func (s inspection) check(d *draft) {
	s.checkPresent(d)
	s.checkFamily(d)
	s.checkRepeats(d)
	s.checkOwnListen(d)
	s.checkHairpin(d)
	s.checkTurns(d)
	s.checkSlots(d)
	s.checkTakeover(d)
	s.checkHealth(d)
}

// checkPresent files the keys every service needs. After a syntax error they
// may be there and unread.
func (s inspection) checkPresent(d *draft) {
	for _, name := range []string{"name", "listen", "backends"} {
		if _, ok := d.keys.of(name); !ok && !d.broken {
			s.refuse(d.at, "add "+exampleOf(name), "cannot use %s: it has no %s", d.label(), name)
		}
	}
}

// label is what a message calls the service.
func (d *draft) label() string {
	if d.name.val == "" {
		return "this service"
	}
	return fmt.Sprintf("service %q", d.name.val)
}

// family is the address family of the service and the place that decides it:
// the first backend, or the first listen address while no backend is good.
func (d *draft) family() (six bool, by span, known bool) {
	for _, b := range d.backends {
		return b.val.Addr.Is6(), b.at, true
	}
	for _, l := range d.listen {
		if !l.val.Any() {
			return l.val.Addr.Is6(), l.at, true
		}
	}
	return false, span{}, false
}

// checkFamily files every address that is not of the service's family.
func (s inspection) checkFamily(d *draft) {
	six, by, known := d.family()
	if !known {
		return
	}
	verify := func(key string, a netip.Addr, at span) {
		if a.IsValid() && a.Is6() != six {
			s.refuse(at, "make two services, one for each family",
				"cannot use %s %s: it is %s, but line %d makes the service %s",
				key, s.show(at), familyName(!six), s.line(by), familyName(six)).Related = s.line(by)
		}
	}
	for _, l := range d.listen {
		verify("listen", l.val.Addr, l.at)
	}
	for _, b := range d.backends {
		verify("backend", b.val.Addr, b.at)
	}
	for _, h := range d.hairpin {
		verify("hairpin", h.val.Addr(), h.at)
	}
	verify("snat", d.snat.val.Addr, d.snat.at)
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
	port := d.onlyPort()
	refuseRepeats(s, "backend", d.backends, func(b Backend) netip.AddrPort {
		if b.Port == 0 {
			b.Port = port
		}
		return b.AddrPort()
	})
}

// refuseRepeats files the values of a list whose identity came before in it.
func refuseRepeats[T any, ID comparable](s inspection, key string, list []located[T], id func(T) ID) {
	seen := make(map[ID]span, len(list))
	for _, l := range list {
		first, twice := seen[id(l.val)]
		if !twice {
			seen[id(l.val)] = l.at
			continue
		}
		fix := "take one of the two out"
		if key == "backend" {
			fix += "; weight gives a backend a larger share"
		}
		s.refuse(l.at, fix, "cannot use %s %s: it is listed already on line %d",
			key, s.show(l.at), s.line(first)).Related = s.line(first)
	}
}

// onlyPort is the port every client of the service asks for, or 0 where there
// are several. It is what a backend without a port gets.
func (d *draft) onlyPort() uint16 {
	var port uint16
	for i, l := range d.listen {
		p := l.val.Ports
		if p.First != p.Last || i > 0 && p.First != port {
			return 0
		}
		port = p.First
	}
	return port
}

// checkOwnListen files backends that are the service itself: a connection would
// be sent back to the balancer.
func (s inspection) checkOwnListen(d *draft) {
	own := make(map[netip.Addr][]located[Listen])
	for _, l := range d.listen {
		own[l.val.Addr] = append(own[l.val.Addr], l)
	}
	for _, b := range d.backends {
		for _, l := range own[b.val.Addr] {
			if b.val.Port == 0 || l.val.Ports.Contains(b.val.Port) {
				s.refuse(b.at, "write the address of the machine that serves it",
					"cannot use backend %s: the service listens there itself, on line %d",
					s.show(b.at), s.line(l.at)).Related = s.line(l.at)
				break
			}
		}
	}
}

// checkHairpin files hairpin where every client is rewritten anyway. A snat that
// was refused may have been meant as "none".
func (s inspection) checkHairpin(d *draft) {
	at, given := d.keys.of("hairpin")
	if given && !d.unread("snat", d.snat.at) && d.snat.val.Mode != None {
		s.refuse(at, `take hairpin out, or write snat = "none"`,
			`cannot use hairpin %s: only snat = "none" leaves clients to masquerade`, s.show(at))
	}
}

// checkTurns files a round-robin that takes more rules than MaxTurns.
func (s inspection) checkTurns(d *draft) {
	if d.algorithm.val != RoundRobin {
		return
	}
	if turns, _ := Turns(values(d.backends)); turns > MaxTurns {
		s.refuse(d.algorithm.at, `write smaller weights, or algorithm = "random"`,
			"cannot use algorithm %s: the weights make a period of %d turns, and %d are the most",
			s.show(d.algorithm.at), turns, MaxTurns)
	}
}
