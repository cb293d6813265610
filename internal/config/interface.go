package config

import (
	"fmt"
	"slices"

	"natspread/internal/config/audience"
	"natspread/internal/config/field"
	"natspread/internal/config/value"
)

// maxInterfaces is how many interfaces a service may name: each costs a rule for each listen address.
const maxInterfaces = 16

// audience returns what a draft says of whom its service is for.
func (d *draft) audience() audience.Audience {
	return audience.Audience{Interfaces: values(d.links), Allow: values(d.gate.allow), Deny: values(d.gate.deny)}
}

// setInterfaces reads one or more names and patterns of interfaces.
func setInterfaces(d *draft, f field.Field) {
	items := f.OneOrMore()
	if len(items) > maxInterfaces {
		f.Refuse(items[maxInterfaces], value.Fault{
			Cause: fmt.Sprintf("it is one more than the %d that a service may have", maxInterfaces),
			Fix:   `natspread can't take more: write a pattern, as in "eth+", or take interface out, which is any`,
		})
		items = items[:maxInterfaces]
	}
	d.links = field.Many(f, items, value.ParseInterface)
}

// checkInterfaces files each name and pattern that another one of its list holds.
func (s inspection) checkInterfaces(d *draft) {
	for i, link := range d.links {
		holds := func(other field.Located[string]) bool {
			return other.At != link.At && value.InterfaceWithin(link.Val, other.Val)
		}
		other := slices.IndexFunc(d.links, holds)
		if other < 0 || d.links[other].Val == link.Val && other > i { // the later one of two that are the same
			continue
		}
		by := d.links[other].At
		s.Refuse(link.At, "take it out", "cannot use interface %s: %s on line %d has it already", s.Show(link.At), s.Show(by), s.Line(by)).Related = s.Line(by)
	}
}
