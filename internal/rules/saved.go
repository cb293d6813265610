package rules

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Saved is a table as iptables-save printed it, ours and everyone else's, each rule
// as the text that it was.
type Saved struct {
	Name   TableName
	Chains []SavedChain
}

// SavedChain is one chain of a table as iptables-save printed it.
type SavedChain struct {
	Name     string
	Policy   string // ACCEPT or DROP for a built-in chain, "-" for others, "" where it is not declared
	Counters string // "[packets:bytes]" that met the policy
	Rules    []SavedRule
}

// SavedRule is one rule of a SavedChain.
type SavedRule struct {
	Text    string // what follows "-A CHAIN "
	Packets uint64 // how many packets it matched; 0 when saved without -c
}

// ErrNoTable says that a text holds other tables only, or none. Asked for one,
// iptables-save prints all its built-in chains and COMMIT even if it does not exist, so
// no output at all means a broken program.
var ErrNoTable = errors.New("it is not there")

// Chain returns the chain of that name and whether there is one.
func (s Saved) Chain(name string) (SavedChain, bool) { return findChain(s.Chains, name) }

// findChain returns the chain of that name and whether it is one of some chains.
func findChain(chains []SavedChain, name string) (SavedChain, bool) {
	i := slices.IndexFunc(chains, func(c SavedChain) bool { return c.Name == name })
	if i < 0 {
		return SavedChain{}, false
	}
	return chains[i], true
}

// OwnChains returns our chains as they stand there, in bytewise order.
func (s Saved) OwnChains() []SavedChain {
	var own []SavedChain
	for _, chain := range s.Chains {
		if IsOwn(chain.Name) {
			own = append(own, chain)
		}
	}
	slices.SortFunc(own, func(a, b SavedChain) int { return cmp.Compare(a.Name, b.Name) })
	return own
}

// OwnText returns natspread's part in the form of Table.Text, for people to read
// and compare: what is in sync gives the same text, byte for byte.
func (s Saved) OwnText() []byte {
	own := s.OwnChains()
	b := Table{Name: s.Name}.appendHead(nil)
	for _, chain := range own {
		b = appendDeclaration(b, chain.Name, "-")
	}
	for _, name := range s.Name.BuiltIn() {
		b = SavedChain{Name: name, Rules: s.Jumps(name)}.AppendText(b)
	}
	for _, chain := range own {
		b = chain.AppendText(b)
	}
	return append(b, "COMMIT\n"...)
}

// AppendText appends the chain's rules, one "-A CHAIN …" line each.
func (c SavedChain) AppendText(b []byte) []byte {
	for _, rule := range c.Rules {
		b = append(append(b, "-A "...), c.Name...)
		b = append(append(append(b, ' '), rule.Text...), '\n')
	}
	return b
}

// Jumps returns the rules of a built-in chain that lead to a chain of ours,
// however they are spelled and however many there are.
func (s Saved) Jumps(builtIn string) []SavedRule {
	chain, _ := s.Chain(builtIn)
	var jumps []SavedRule
	for _, rule := range chain.Rules {
		if IsOwn(rule.JumpsTo()) {
			jumps = append(jumps, rule)
		}
	}
	return jumps
}

// JumpsTo returns the target or the chain that the rule leads to, "" for a rule
// that only counts.
func (r SavedRule) JumpsTo() string {
	before := ""
	for word := range r.Words() {
		// A comment may be the bare word -j; its follower is then an option.
		if (before == "-j" || before == "-g") && !strings.HasPrefix(word, "-") {
			return word
		}
		before = word
	}
	return ""
}

// Words goes through the words of the rule. They stand between spaces, except inside
// double quotes, where a backslash takes the next byte's meaning away: the way
// iptables-save quotes. A quoted word keeps its quotes, so it is never taken for an
// option.
func (r SavedRule) Words() iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(r.Text); i++ {
			switch {
			case r.Text[i] == '\\' && quoted:
				i++
			case r.Text[i] == '"':
				quoted = !quoted
			case r.Text[i] == ' ' && !quoted:
				if !yield(r.Text[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(r.Text[start:])
	}
}

// Own reads natspread's part, strictly: see Parse.
func (s Saved) Own(family Family) (Table, error) {
	chains, count := s.OwnChains(), 0
	for _, chain := range chains {
		count += len(chain.Rules)
	}
	table := Table{Family: family, Name: s.Name, Chains: slices.Grow([]Chain(nil), len(chains))}
	all := make([]Rule, count) // of all chains: one allocation for thousands
	var buffer []byte
	for _, chain := range chains {
		if !ownChain(chain.Name) {
			return Table{}, fmt.Errorf("%.60q is no name of an own chain", chain.Name)
		}
		rules := all[:len(chain.Rules):len(chain.Rules)]
		all = all[len(rules):]
		for i, rule := range chain.Rules {
			var err error
			if buffer, err = rules[i].parse(rule.Text, buffer); err == nil && !rules[i].belongs(s.Name) {
				err = fmt.Errorf("%.200q: %w", rule.Text, errRule)
			}
			if err != nil {
				return Table{}, fmt.Errorf("chain %s, rule %d: %w", chain.Name, i+1, err)
			}
		}
		table.Chains = append(table.Chains, Chain{Name: chain.Name, Rules: rules})
	}
	return table, nil
}
