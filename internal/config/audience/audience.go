// Package audience says which packets a service is for, by the interface that they come in by and by
// the client that they come from.
package audience

import (
	"net/netip"
	"slices"

	"natspread/internal/config/value"
	"natspread/internal/subnet"
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
	return subnet.Covered(clients, a.Deny) || len(a.Allow) > 0 && !slices.ContainsFunc(a.Allow, clients.Overlaps)
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
