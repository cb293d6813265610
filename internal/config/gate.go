package config

import (
	"fmt"
	"net/netip"
	"slices"

	"natspread/internal/config/field"
	"natspread/internal/config/value"
	"natspread/internal/subnet"
)

// MaxClients is the most subnets of allow, and of deny: each costs a rule.
const MaxClients = 4096

// Refused is what a client gets that a service does not serve.
type Refused string

// The kinds of Refused.
const (
	Reject Refused = "reject" // a refusal, as by a port where nobody listens; the default
	ToHost Refused = "host"   // what the host itself has there, as if there were no service
)

// gateDraft is what a draft says of who may connect.
type gateDraft struct {
	allow, deny []field.Located[netip.Prefix]
	refused     field.Located[Refused]
	closed      bool // allow is of the other family only: see ofFamily
}

// setAllow reads the clients that the service is for.
func setAllow(d *draft, f field.Field) { d.gate.allow = clients(f) }

// setDeny reads the clients that the service is not for.
func setDeny(d *draft, f field.Field) { d.gate.deny = clients(f) }

// clients reads one or more subnets of clients.
func clients(f field.Field) []field.Located[netip.Prefix] {
	items := f.OneOrMore()
	if len(items) > MaxClients {
		f.Refuse(items[MaxClients], value.Fault{
			Cause: fmt.Sprintf("it is one more than the %d that %s may have", MaxClients, f.Name),
			Fix:   "natspread can't take more: write larger subnets",
		})
		items = items[:MaxClients]
	}
	return field.Many(f, items, value.ParseClients)
}

// ofFamily returns what is of one family in a gate. An allow list that is of the other family only
// leaves nobody.
func (g gateDraft) ofFamily(six bool) gateDraft {
	half := g
	half.allow = keepFamily(g.allow, six, netip.Prefix.Addr)
	half.deny = keepFamily(g.deny, six, netip.Prefix.Addr)
	half.closed = len(g.allow) > 0 && len(half.allow) == 0
	return half
}

// checkGate files what of allow, deny and refused goes against itself, or against hairpin.
func (s inspection) checkGate(d *draft) {
	refuseRepeats(s, "allow", d.gate.allow, func(p netip.Prefix) netip.Prefix { return p })
	refuseRepeats(s, "deny", d.gate.deny, func(p netip.Prefix) netip.Prefix { return p })
	s.checkClosed(d)
	s.checkDenied(d)
	_, allow := d.keys.Of("allow")
	_, deny := d.keys.Of("deny")
	if at, given := d.keys.Of("refused"); given && !allow && !deny {
		s.Refuse(at, "take refused out, or write "+exampleOf("allow"), "cannot use refused %s: without allow and deny nobody is refused", s.Show(at))
	}
	whom := d.audience()
	for _, h := range d.hairpin {
		if whom.Gated() && whom.ServesNone(h.Val) {
			s.Refuse(h.At, "take it out, or let allow and deny admit it", "cannot use hairpin %s: allow and deny let none of these clients in", s.Show(h.At))
		}
	}
}

// checkClosed files an allow list that leaves one family of a service of both without a client.
func (s inspection) checkClosed(d *draft) {
	if at, given := d.keys.Of("allow"); given && d.gate.closed {
		s.Refuse(at, fmt.Sprintf("natspread can't tell which clients may connect by %[1]s: add their subnets to allow, or take the %[1]s listen addresses out", familyName(d.six)),
			"cannot use allow %[1]s: the service listens on %[2]s too, but allow has no subnet of %[2]s", s.Show(at), familyName(d.six))
	}
}

// checkDenied files what deny makes of no use: everybody, or a subnet that allow names.
func (s inspection) checkDenied(d *draft) {
	for _, denied := range d.gate.deny {
		if denied.Val.Bits() == 0 {
			s.Refuse(denied.At, "take it out, and write the subnets that may connect into allow: all others are refused then",
				"cannot use deny %s: it holds every client there is", s.Show(denied.At))
			return
		}
	}
	for _, allowed := range d.gate.allow {
		holds := func(denied field.Located[netip.Prefix]) bool { return subnet.Within(allowed.Val, denied.Val) }
		if i := slices.IndexFunc(d.gate.deny, holds); i >= 0 {
			by := d.gate.deny[i].At
			s.Refuse(allowed.At, "take it out, or write smaller subnets into deny", "cannot use allow %s: %s on line %d holds all of it, and deny goes first",
				s.Show(allowed.At), s.Show(by), s.Line(by)).Related = s.Line(by)
		}
	}
}

// fill gives a service what becomes of those whom it is not for.
func (g gateDraft) fill(s *Service) {
	if s.Refused = g.refused.Val; s.Refused == "" && s.Gated() {
		s.Refused = Reject
	}
}
