package doctor

import (
	"fmt"
	"slices"

	"natspread/internal/rules"
)

// generation looks at what boot is to load.
func (e examination) generation() []Finding {
	g := e.Generation
	refused := slices.ContainsFunc(e.modes(), func(f Finding) bool { return f.Severity == AtBoot })
	switch {
	case g.Bad != nil && refused:
		return nil // modes says which file it is, and how to mend it
	case g.Bad != nil:
		return []Finding{{AtBoot, fmt.Sprintf("boot cannot load what was applied last: %v", g.Bad), applyFixes}}
	case g.Number == 0 && !e.untried():
		return nil // trial says what there is
	case g.Number == 0:
		return []Finding{{Risk, "nothing was applied yet, so nothing is balanced, and boot loads nothing", applyFixes}}
	case g.Variant != e.Variant:
		return []Finding{{
			Risk, fmt.Sprintf("generation %d was proven with the %s variant of iptables, and boot will load it by %s", g.Number, g.Variant, e.Variant),
			applyFixes,
		}}
	case e.notLoaded():
		return []Finding{{Broken, fmt.Sprintf("generation %d is not loaded: the nat table leads to nothing of natspread's, so nothing is balanced", g.Number), "natspread restore"}}
	}
	return nil
}

// notLoaded tells whether no packet meets rules of natspread's, of neither family. That
// some of them are missing is for status to tell.
func (e examination) notLoaded() bool {
	read := false
	for _, r := range e.Rulesets {
		if r.Variant != e.Variant {
			continue
		}
		read = true
		for name, chain := range r.table("nat") {
			leads := slices.ContainsFunc(chain.rules, func(rule rule) bool { return rules.IsOwn(rule.target) })
			if leads && !rules.IsOwn(name) {
				return false
			}
		}
	}
	return read && e.Unread == nil
}

// untried tells whether nothing was ever loaded: neither applied nor on trial.
func (e examination) untried() bool { return e.Generation.Number == 0 && e.Trial.Number == 0 }

// config tells of a config that nothing can be applied of.
func (e examination) config() []Finding {
	if e.ConfigBad == nil {
		return nil
	}
	return []Finding{{
		Risk, fmt.Sprintf("apply refuses the config, so all else is judged by that of generation %d: %v", e.Generation.Number, e.ConfigBad),
		"natspread check # says what to write instead",
	}}
}

// trial tells of a generation that waits to be confirmed. While it cannot be told
// whether one does, whoever would change that refuses.
func (e examination) trial() []Finding {
	switch {
	case e.Trial.Bad != nil:
		return []Finding{{Broken, fmt.Sprintf("apply, confirm and rollback refuse: %v", e.Trial.Bad), "natspread restore"}}
	case e.Trial.Over:
		return []Finding{{Risk, fmt.Sprintf("generation %d is still loaded: it was not confirmed in time, and nothing took it back", e.Trial.Number), "natspread rollback"}}
	case e.Trial.Number != 0:
		return []Finding{{Risk, fmt.Sprintf("generation %d waits to be confirmed: else it is taken back, and boot has never known it", e.Trial.Number), "natspread confirm"}}
	}
	return nil
}
