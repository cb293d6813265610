package config

import (
	"net/netip"
	"strings"

	"natspread/internal/config/field"
)

// sixth ends the name of the IPv6 half of a service of both families. No name that is written has
// a point.
const sixth = ".6"

// Written returns the name that the file has for the service. A service of both families is two in
// a Config, one for each: that of IPv6 has ".6" behind its name.
func (s Service) Written() string { return strings.TrimSuffix(s.Name, sixth) }

// halves returns the services that a draft is: two where it listens and has backends in both
// families, each with what is of its family. Backends of a pool that are of a family in which the
// service does not listen are not its own.
func (d *draft) halves() []*draft {
	four, six := d.ofFamily(false), d.ofFamily(true)
	if six, _, known := d.family(); known && d.Value("snat").Kind == "" { // that of [defaults] is for both
		d.sourcesOf(six)
	}
	both := len(four.listen)*len(four.backends) > 0 && len(six.listen)*len(six.backends) > 0
	switch {
	case both:
		four.half, six.half = true, true
		return []*draft{four, six}
	case d.pool.Val != "" && len(d.listen) == len(four.listen) && len(four.backends) > 0:
		d.backends = four.backends
	case d.pool.Val != "" && len(d.listen) == len(six.listen) && len(six.backends) > 0:
		d.backends = six.backends
	}
	return []*draft{d}
}

// ofFamily returns what is of one family in a draft. "*" is of both.
func (d *draft) ofFamily(six bool) *draft {
	half := *d
	half.six = six
	half.listen = keepFamily(d.listen, six, func(l Listen) netip.Addr { return l.Addr })
	half.backends = keepFamily(d.backends, six, func(b Backend) netip.Addr { return b.Addr })
	half.sourcesOf(six)
	half.hairpin = keepFamily(d.hairpin, six, netip.Prefix.Addr)
	half.gate = d.gate.ofFamily(six)
	return &half
}

// keepFamily returns the values of a list that are of a family, or of both.
func keepFamily[T any](list []field.Located[T], six bool, address func(T) netip.Addr) []field.Located[T] {
	var kept []field.Located[T]
	for _, l := range list {
		if a := address(l.Val); !a.IsValid() || a.Is6() == six {
			kept = append(kept, l)
		}
	}
	return kept
}
