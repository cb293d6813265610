package doctor

import (
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// Balancer is what is to work on a host.
type Balancer struct {
	Services    []config.Service
	Applied     int           // the generation that boot loads; 0 for none
	Variant     rules.Variant // of iptables, the one in use: nft or legacy
	rules.Hooks               // what else decides about packets
	Unread      error         // why some of that could not be read

	Config    []string // paths of its files, and of the directory of some, below the root; none where it is no file
	ConfigBad error    // why the services are not those of this config; nil when they are
}

// families returns those that a balancer has services of.
func (b Balancer) families() []rules.Family {
	return slices.DeleteFunc(rules.Families(), func(family rules.Family) bool {
		return !slices.ContainsFunc(b.Services, func(s config.Service) bool { return familyOf(s) == family })
	})
}

// familyOf returns the family of a service. The backends decide, also the drained ones,
// because the listen address "*" has no family.
func familyOf(service config.Service) rules.Family { return rules.FamilyOf(service.Backends[0].Addr) }

// rulesets returns what the variant in use holds of a family, and what the other does.
func (b Balancer) rulesets(family rules.Family) (inUse, other rules.Ruleset) {
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

// mangles tells whether the mangle table of a family, by either variant, has a rule of a kind.
func (b Balancer) mangles(family rules.Family, is func(rules.SavedChain, rules.SavedRule) bool) bool {
	return slices.ContainsFunc(b.Rulesets, func(r rules.Ruleset) bool {
		return r.Family == family && slices.ContainsFunc(r.Tables["mangle"], func(c rules.SavedChain) bool {
			return slices.ContainsFunc(c.Rules, func(rule rules.SavedRule) bool { return is(c, rule) })
		})
	})
}
