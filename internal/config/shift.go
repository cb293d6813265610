package config

import (
	"slices"

	"natspread/internal/config/field"
)

// Shifts tells whether the service sends several ports to as many others: the first one that clients
// ask for to the first one where a backend answers, and so on.
func (s Service) Shifts() bool {
	return slices.ContainsFunc(s.Listen, func(l Listen) bool {
		return slices.ContainsFunc(s.Backends, func(b Backend) bool { return l.Shifts(b) })
	})
}

// Shifts tells whether a backend answers for l at other ports than were asked, each at its own.
func (l Listen) Shifts(b Backend) bool {
	at := l.Answers(b)
	return at != l.Ports && at.First != at.Last
}

// PairsToTell returns those of the listen addresses of a service that shifts ports which each need
// a rule of their own: one for each range of ports, or all, where two addresses share a port at
// another place of their ranges. None where all have the same range.
func PairsToTell(listens []Listen) []Listen {
	var pairs []Listen
	meets := false
	for _, listen := range listens {
		if slices.ContainsFunc(pairs, func(other Listen) bool { return other.Ports == listen.Ports }) {
			continue
		}
		meets = meets || slices.ContainsFunc(pairs, func(other Listen) bool { return other.Ports.Overlaps(listen.Ports) })
		if pairs = append(pairs, listen); len(pairs) > MaxPairs { // which is refused
			break
		}
	}
	switch {
	case len(pairs) == 1:
		return nil
	case meets:
		return listens
	}
	return pairs
}

// ranged tells whether a backend of the service has a range of ports.
func (d *draft) ranged() bool { return slices.ContainsFunc(d.backends, hasRange) }

// hasRange tells whether a backend has a range of ports.
func hasRange(b field.Located[Backend]) bool { return b.Val.Last != 0 }

// checkShift files ranges of backends that are not as long as those that clients ask for, and single
// ports beside them: all ports of clients would arrive there.
func (s inspection) checkShift(d *draft) {
	ranged := slices.IndexFunc(d.backends, hasRange)
	if ranged < 0 || d.maps() || len(d.listen) == 0 {
		return
	}
	for _, b := range d.backends {
		own := b.Val.Ports()
		odd := slices.IndexFunc(d.listen, func(l field.Located[Listen]) bool { return l.Val.Ports.Count() != own.Count() })
		switch {
		case b.Val.Port == 0 || odd < 0:
		case b.Val.Last != 0:
			l := d.listen[odd]
			s.Refuse(b.At, d.shiftFix(b), "cannot use backend %s: it has %d ports, and listen %s has %d", s.Show(b.At), own.Count(), s.Show(l.At), l.Val.Ports.Count()).Related = s.Line(l.At)
		default:
			by := d.backends[ranged].At
			s.Refuse(b.At, d.shiftFix(b), "cannot use backend %s: it has one port, and backend %s has a range", s.Show(b.At), s.Show(by)).Related = s.Line(by)
		}
	}
	if n := len(PairsToTell(values(d.listen))); n > MaxPairs {
		s.Refuse(d.backends[ranged].At, "natspread can't take more: write several services with one pool", "cannot use backend %s: its ports shift, and the service has %d ranges of them, of which %d are the most", s.Show(d.backends[ranged].At), n, MaxPairs)
	}
}

// shiftFix is the fix for the ports of a backend that are not as many as clients ask for.
func (d *draft) shiftFix(b field.Located[Backend]) string {
	asked := d.askedPorts()
	n := asked[0].Count()
	if slices.ContainsFunc(asked, func(p Ports) bool { return p.Count() != n }) {
		return "natspread can't shift ranges of several lengths at once: write a service for each"
	}
	return d.writeBackend(b, asked[0].From(b.Val.Port))
}

// distinctPorts returns some ports of the listen addresses, each range once.
func (d *draft) distinctPorts(of func(Listen) Ports) []Ports {
	var all []Ports
	seen := map[Ports]bool{}
	for _, l := range d.listen {
		if ports := of(l.Val); !seen[ports] {
			seen[ports] = true
			all = append(all, ports)
		}
	}
	return all
}

// askedPorts returns the ranges of ports that clients ask for, each once.
func (d *draft) askedPorts() []Ports {
	return d.distinctPorts(func(l Listen) Ports { return l.Ports })
}
