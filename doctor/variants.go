package doctor

import (
	"fmt"
	"slices"

	"natspread/nat"
)

// variants looks for families of which both variants hold something: each packet
// meets both, and each variant's programs show only half of that.
func (e examination) variants() []Finding {
	var found []Finding
	for _, family := range nat.Families() {
		var other string
		filled := 0
		for _, r := range e.Rulesets {
			if r.Family != family || !r.filled() {
				continue
			}
			filled++
			if r.Variant != e.Variant {
				other = r.Variant
			}
		}
		if filled < 2 {
			continue
		}
		from, to := program(family, other), program(family, e.Variant)
		found = append(found, Finding{
			Risk, fmt.Sprintf("%v: the nft and the legacy variant both hold rules, and packets meet both; natspread is in %s", family, e.Variant),
			fmt.Sprintf("%[1]s-save | grep -ve NATSPREAD -e '^:[A-Z]* ACCEPT' | %[2]s-restore -n && %[1]s-save | sed -e '/^-A/d' -e '/^:NATSPREAD/d' -e 's/ DROP / ACCEPT /' | %[1]s-restore", from, to),
		})
	}
	return found
}

// generation looks at what boot is to load.
func (e examination) generation() []Finding {
	g := e.Generation
	refused := slices.ContainsFunc(e.modes(), func(f Finding) bool { return f.Severity == AtBoot })
	switch {
	case g.Bad != nil && refused:
		return nil // modes says which file it is, and how to mend it
	case g.Bad != nil:
		return []Finding{{AtBoot, fmt.Sprintf("boot cannot load what was applied last: %v", g.Bad), applyMends}}
	case g.Number == 0:
		return []Finding{{Risk, "nothing was applied yet, so nothing is balanced, and boot loads nothing", applyMends}}
	case g.Variant != e.Variant:
		return []Finding{{
			Risk, fmt.Sprintf("generation %d was proven with the %s variant of iptables, and boot will load it by %s", g.Number, g.Variant, e.Variant),
			applyMends,
		}}
	}
	return nil
}
