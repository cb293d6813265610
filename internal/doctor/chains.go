package doctor

import (
	"slices"

	"natspread/internal/rules"
)

// chains are those of a filter table by name, ready for a walk.
type chains map[string]chain

// chain is one chain.
type chain struct {
	policy string // ACCEPT or DROP; "-" for one that is not built in
	rules  []rule
}

// rule is one rule, split once for all packets that meet it.
type rule struct {
	text   string // as iptables-save prints it behind "-A CHAIN "
	words  []string
	target string // "" for a rule that only counts
}

// chainsOf returns the chains of a table.
func chainsOf(table []rules.SavedChain) chains {
	all := make(chains, len(table))
	for _, saved := range table {
		c := chain{policy: saved.Policy, rules: make([]rule, len(saved.Rules))}
		for i, r := range saved.Rules {
			c.rules[i] = ruleOf(r)
		}
		all[saved.Name] = c
	}
	return all
}

// ruleOf splits a rule.
func ruleOf(saved rules.SavedRule) rule {
	return rule{saved.Text, slices.Collect(saved.Words()), saved.JumpsTo()}
}
