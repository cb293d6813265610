package doctor

import (
	"fmt"

	"natspread/internal/rules"
)

// variants looks for families of which both variants hold something: each packet
// meets both, and each variant's programs show only half of that.
func (e examination) variants() []Finding {
	var found []Finding
	for _, family := range rules.Families() {
		inUse, other := e.rulesets(family)
		// Where boot is to load by the other one, generation says so.
		if other.holdsOurs() && e.Generation.Variant == e.Variant {
			found = append(found, Finding{
				Broken, fmt.Sprintf("%v: the %s variant holds rules of natspread's too, which is in %s: packets meet both", family, other.Variant, e.Variant),
				applyFixes,
			})
		}
		if !inUse.filled() || !other.othersFilled() {
			continue
		}
		found = append(found, e.bothHold(family, inUse, other))
	}
	return found
}

// bothHold is the finding of rules of others in both variants. No line moves them where
// both have a chain of one name, as when who made it changed the variant: the newer one's
// rules would give way to the older one's.
func (e examination) bothHold(family rules.Family, inUse, other Ruleset) Finding {
	found := Finding{Severity: Risk, What: fmt.Sprintf("%v: the nft and the legacy variant both hold rules, and packets meet both; natspread is in %s", family, e.Variant)}
	if shared := inUse.sharedChains(other); len(shared) > 0 {
		found.What += fmt.Sprintf("; the chains %s are in both, so look which of them are still in use", few(shared))
		return found
	}
	from, to := program(family, other.Variant), program(family, e.Variant)
	found.Fix = fmt.Sprintf("%[1]s-save | grep -ve NATSPREAD -e '^:[A-Z]* ACCEPT' | %[2]s-restore -n && %[1]s-save | sed -e '/^-A/d' -e '/^:NATSPREAD/d' -e 's/ DROP / ACCEPT /' | %[1]s-restore", from, to)
	return found
}

// rulesets returns what the variant in use holds of a family, and what the other does.
func (b Balancer) rulesets(family rules.Family) (inUse, other Ruleset) {
	for _, r := range b.Rulesets {
		switch {
		case r.Family != family:
		case r.Variant == b.Variant:
			inUse = r
		default:
			other = r
		}
	}
	return inUse, other
}
