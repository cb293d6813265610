package doctor

import (
	"fmt"
	"slices"

	"natspread/internal/rules"
	"natspread/internal/text"
)

// variants looks for families of which both variants hold rules of others. Each packet goes through
// the rules of both, and the programs of each variant show only its own.
func (e examination) variants() []Finding {
	var found []Finding
	for _, family := range rules.Families() {
		inUse, other := e.rulesets(family)
		if filled(inUse) && othersFilled(other) {
			found = append(found, e.bothHold(family, inUse, other))
		}
	}
	return found
}

// bothHold is the finding of other people's rules in both variants. No line can move them
// where both have a chain of the same name, as when a program changed its variant: the
// older chain would replace the newer one.
func (e examination) bothHold(family rules.Family, inUse, other rules.Ruleset) Finding {
	found := Finding{Severity: Risk, What: fmt.Sprintf("%v: the nft and the legacy variant both hold rules, and packets go through both; natspread uses %s", family, e.Variant)}
	if shared := sharedChains(inUse, other); len(shared) > 0 {
		found.What += fmt.Sprintf("; the chains %s are in both: find out which of them are still in use", text.Few(shared))
		return found
	}
	from, to := rules.Program(family, other.Variant, ""), rules.Program(family, e.Variant, "")
	found.Fix = fmt.Sprintf("%[1]s-save | grep -ve NATSPREAD -e '^:[A-Z]* ACCEPT' | %[2]s-restore -n && %[1]s-save | sed -e '/^-A/d' -e '/^:NATSPREAD/d' -e 's/ DROP / ACCEPT /' | %[1]s-restore", from, to)
	return found
}

// filled tells whether a ruleset decides about any packet: by a rule, or by a policy.
func filled(r rules.Ruleset) bool {
	return anyChain(r, func(c rules.SavedChain) bool { return c.Policy == "DROP" || len(c.Rules) > 0 })
}

// othersFilled is filled without what is natspread's.
func othersFilled(r rules.Ruleset) bool {
	return anyChain(r, func(c rules.SavedChain) bool {
		return !rules.IsOwn(c.Name) && (c.Policy == "DROP" || slices.ContainsFunc(c.Rules, func(rule rules.SavedRule) bool { return !rules.IsOwn(rule.JumpsTo()) }))
	})
}

// anyChain tells whether a chain of any table is one of a kind.
func anyChain(r rules.Ruleset, is func(rules.SavedChain) bool) bool {
	for _, table := range r.Tables {
		if slices.ContainsFunc(table, is) {
			return true
		}
	}
	return false
}

// sharedChains returns the names of those chains, neither built in nor natspread's, that
// both rulesets have in the same table, each once.
func sharedChains(one, other rules.Ruleset) []string {
	var shared []string
	for name, table := range one.Tables {
		theirs := map[string]bool{}
		for _, chain := range other.Tables[name] {
			theirs[chain.Name] = true
		}
		for _, chain := range table {
			if theirs[chain.Name] && chain.Policy == "-" && !rules.IsOwn(chain.Name) {
				shared = append(shared, chain.Name)
			}
		}
	}
	slices.Sort(shared)
	return slices.Compact(shared)
}
