package rules

import "strings"

// Ruleset is all that one variant of iptables holds of a family, natspread's rules and
// everyone else's.
type Ruleset struct {
	Family  Family
	Variant Variant                 // nft or legacy
	Tables  map[string][]SavedChain // by name: raw, mangle and security, too
}

// ParseRuleset reads what iptables-save printed of all tables. It is lenient, since the
// rules of others are theirs: it takes a chain that is not declared, tables that nobody
// here knows and a last one without its end, and passes over every line that it cannot
// read.
func ParseRuleset(family Family, variant Variant, text []byte) Ruleset {
	tables := map[string]*chainList{}
	var table *chainList // nil before the first one
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, begins := strings.CutPrefix(line, "*"); begins {
			if table = tables[name]; table == nil {
				table = &chainList{}
				tables[name] = table
			}
		} else if table != nil {
			table.take(line)
		}
	}
	ruleset := Ruleset{Family: family, Variant: variant, Tables: map[string][]SavedChain{}}
	for name, table := range tables {
		ruleset.Tables[name] = table.chains
	}
	return ruleset
}

// take takes a line in a table, if it is that of a chain or a rule. A chain that is
// declared again begins again, as it does for iptables-restore.
func (l *chainList) take(line string) {
	if name, rule, ok := readRule(line); ok {
		chain := l.findOrAdd(name)
		chain.Rules = append(chain.Rules, rule)
	} else if strings.HasPrefix(line, ":") {
		chain, _ := readDeclaration(line)
		*l.findOrAdd(chain.Name) = chain
	}
}

// findOrAdd returns the chain of that name, which is added where there is none.
func (l *chainList) findOrAdd(name string) *SavedChain {
	if chain := l.find(name); chain != nil {
		return chain
	}
	return l.add(SavedChain{Name: name})
}

// Chain returns a chain of a table and whether there is one.
func (r Ruleset) Chain(table, name string) (SavedChain, bool) {
	return findChain(r.Tables[table], name)
}
