package doctor

import (
	"slices"
	"strings"

	"natspread/internal/rules"
)

// chain is one chain of a filter table.
type chain struct {
	policy string // ACCEPT or DROP; "-" for one that is not built in
	rules  []rule
}

// chains are those of a table by name.
type chains map[string]chain

// rule is one line of iptables-save.
type rule struct {
	line   string   // as it stands there: "-A FORWARD -j ACCEPT"
	words  []string // behind the chain's name
	target string   // "" for a rule that only counts
}

// table reads one table out of what iptables-save printed.
func (r Ruleset) table(name string) chains {
	read, inside := chains{}, false
	for line := range strings.Lines(string(r.Text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			inside = line == "*"+name
		case !inside:
		case strings.HasPrefix(line, ":"):
			name, rest, _ := strings.Cut(line[1:], " ")
			policy, _, _ := strings.Cut(rest, " ")
			read[name] = chain{policy: policy}
		case strings.HasPrefix(line, "-A "):
			name, rest, _ := strings.Cut(line[len("-A "):], " ")
			saved := rules.SavedRule{Text: rest}
			c := read[name]
			c.rules = append(c.rules, rule{line, saved.Words(), saved.JumpsTo()})
			read[name] = c
		}
	}
	return read
}

// ruleset returns the filter table of a family by a variant; one that does not exist
// has no chains.
func (b Balancer) ruleset(family rules.Family, variant string) chains {
	for _, r := range b.Rulesets {
		if r.Family == family && r.Variant == variant {
			return r.table("filter")
		}
	}
	return chains{}
}

// filled tells whether a ruleset decides about any packet: by a rule, or a policy.
func (r Ruleset) filled() bool { return slices.ContainsFunc(r.lines(), decides) }

// othersFilled is filled without what is natspread's.
func (r Ruleset) othersFilled() bool {
	return slices.ContainsFunc(r.lines(), func(line string) bool { return decides(line) && !isOurs(line) })
}

// holdsOurs tells whether something of natspread's is in a ruleset.
func (r Ruleset) holdsOurs() bool { return slices.ContainsFunc(r.lines(), isOurs) }

// sharedChains returns the names of the chains of others that another ruleset has, too, in
// the same table, each once.
func (r Ruleset) sharedChains(other Ruleset) []string {
	var shared []string
	for _, table := range []string{"raw", "mangle", "nat", "filter", "security"} {
		theirs := other.table(table)
		for name, chain := range r.table(table) {
			_, both := theirs[name]
			if both && chain.policy == "-" && !rules.IsOwn(name) && !slices.Contains(shared, name) {
				shared = append(shared, name)
			}
		}
	}
	slices.Sort(shared)
	return shared
}

// lines returns the lines of a ruleset.
func (r Ruleset) lines() []string { return strings.Split(string(r.Text), "\n") }

// decides tells whether a line of a ruleset decides about packets.
func decides(line string) bool {
	return strings.HasPrefix(line, "-A ") || strings.HasPrefix(line, ":") && strings.Contains(line, " DROP ")
}

// isOurs tells whether a line of a ruleset is a chain of natspread's, or a rule in one or
// into one.
func isOurs(line string) bool {
	rest, isRule := strings.CutPrefix(line, "-A ")
	chain, isChain := strings.CutPrefix(line, ":")
	if isChain {
		rest = chain
	}
	name, _, _ := strings.Cut(rest, " ")
	return isChain && rules.IsOwn(name) || isRule && (rules.IsOwn(name) || rules.IsOwn(rules.SavedRule{Text: rest}.JumpsTo()))
}
