// Package audience says which packets a service is for, by the interface that they come in by and by
// the client that they come from.
package audience

import (
	"net/netip"
	"slices"

	"natspread/internal/config/value"
)

// Audience is whom a service is for. The zero Audience is everybody.
type Audience struct {
	Interfaces []string       // those that traffic must come in by, as names and patterns; none is any
	Allow      []netip.Prefix // clients that it is for; none is all that Deny does not have
	Deny       []netip.Prefix // clients that it is not for
}

// ComesBy tells whether the service takes what comes in by an interface, or by some of those of a
// pattern.
func (a Audience) ComesBy(link string) bool {
	takes := func(named string) bool { return value.InterfacesMeet(named, link) }
	return len(a.Interfaces) == 0 || slices.ContainsFunc(a.Interfaces, takes)
}

// Gated tells whether the service serves some clients only.
func (a Audience) Gated() bool { return len(a.Allow)+len(a.Deny) > 0 }

// Serves tells whether the service is for a client that comes in from elsewhere. Deny goes first.
func (a Audience) Serves(client netip.Addr) bool {
	holds := func(p netip.Prefix) bool { return p.Contains(client) }
	return !slices.ContainsFunc(a.Deny, holds) && (len(a.Allow) == 0 || slices.ContainsFunc(a.Allow, holds))
}

// ServesNone tells whether the service is for no client of a subnet.
func (a Audience) ServesNone(clients netip.Prefix) bool {
	return cover(a.Deny, clients) || len(a.Allow) > 0 && !slices.ContainsFunc(a.Allow, clients.Overlaps)
}

// Apart tells whether no packet is for both of two services that listen for the same: they name
// interfaces that do not meet, or one is for some clients only, and the other for none of these.
func (a Audience) Apart(other Audience) bool {
	return a.ApartByInterface(other) || a.apartByClients(other) || other.apartByClients(a)
}

// ApartByInterface tells whether two services name interfaces, and none alike.
func (a Audience) ApartByInterface(other Audience) bool {
	return len(a.Interfaces) > 0 && len(other.Interfaces) > 0 && !slices.ContainsFunc(a.Interfaces, other.ComesBy)
}

// apartByClients tells whether a service is for some clients only, and the other for none of these.
func (a Audience) apartByClients(other Audience) bool {
	serves := func(clients netip.Prefix) bool { return !other.ServesNone(clients) }
	return len(a.Allow) > 0 && !slices.ContainsFunc(a.Allow, serves)
}

// Within tells whether a subnet holds all of another one.
func Within(inner, outer netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// cover tells whether subnets together hold all of another one.
func cover(subnets []netip.Prefix, whole netip.Prefix) bool {
	var parts []netip.Prefix
	for _, p := range subnets {
		switch {
		case Within(whole, p):
			return true
		case Within(p, whole):
			parts = append(parts, p)
		}
	}
	if len(parts) < 2 { // and so not both halves
		return false
	}
	bit := whole.Bits() // by which the halves differ
	bytes := whole.Addr().AsSlice()
	bytes[bit/8] |= 0x80 >> (bit % 8)
	middle, _ := netip.AddrFromSlice(bytes)
	return cover(parts, netip.PrefixFrom(whole.Addr(), bit+1)) && cover(parts, netip.PrefixFrom(middle, bit+1))
}
