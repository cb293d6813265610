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
		return nil // the check of the modes names the file, and the line that fixes it
	case g.Bad != nil:
		return []Finding{{AtBoot, fmt.Sprintf("boot cannot load what was applied last: %v", g.Bad), applyFixes}}
	case g.Number == 0 && !e.untried():
		return nil // the check of the pending generation says what is loaded
	case g.Number == 0:
		return []Finding{{Risk, "nothing was applied yet, so nothing is balanced, and boot loads nothing", applyFixes}}
	case g.Variant != e.Variant:
		return []Finding{{
			Risk, fmt.Sprintf("generation %d was proven with the %s variant of iptables, and boot will load it with %s", g.Number, g.Variant, e.Variant),
			applyFixes,
		}}
	case e.notLoaded():
		return []Finding{{Broken, fmt.Sprintf("generation %d is not loaded: no rule of the nat table leads to a chain of natspread's, so nothing is balanced", g.Number), "natspread restore"}}
	}
	return nil
}

// notLoaded tells whether no packet meets natspread's rules, in either family. When only
// some of them are missing, status says so.
func (e examination) notLoaded() bool {
	read := false
	for _, r := range e.Rulesets {
		if r.Variant != e.Variant {
			continue
		}
		read = true
		for _, chain := range r.Tables["nat"] {
			if !rules.IsOwn(chain.Name) && slices.ContainsFunc(chain.Rules, leadsToOwn) {
				return false
			}
		}
	}
	return read && e.Unread == nil
}

// untried tells whether nothing was ever loaded: no generation is current, and none is
// pending.
func (e examination) untried() bool { return e.Generation.Number == 0 && e.Pending.Number == 0 }

// config reports a config that apply refuses.
func (e examination) config() []Finding {
	if e.ConfigBad == nil {
		return nil
	}
	return []Finding{{
		Risk, fmt.Sprintf("apply refuses the config, so the other checks use the config of generation %d: %v", e.Generation.Number, e.ConfigBad),
		"natspread check # says what to write instead",
	}}
}

// pending reports a generation that waits to be confirmed. While it cannot be told
// whether one waits, every verb that would change it refuses to run.
func (e examination) pending() []Finding {
	switch {
	case e.Pending.Bad != nil:
		return []Finding{{Broken, fmt.Sprintf("apply, confirm and rollback refuse: %v", e.Pending.Bad), "natspread restore"}}
	case e.Pending.Over:
		return []Finding{{Risk, fmt.Sprintf("generation %d is still loaded: it was not confirmed in time, and nothing rolled it back", e.Pending.Number), "natspread rollback"}}
	case e.Pending.Number != 0:
		return []Finding{{Risk, fmt.Sprintf("generation %d waits to be confirmed: without that it is rolled back, and boot does not load it", e.Pending.Number), "natspread confirm"}}
	}
	return nil
}
