package rules

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseSaved reads a table from what iptables-save printed, with counters (-c) or
// without. Comment lines and other tables are passed over. It is strict: a line that
// iptables-save would not print is an error, and so is a table without its end.
func ParseSaved(name TableName, text []byte) (Saved, error) {
	reader := savedReader{name: name, rules: make([]SavedRule, 0, bytes.Count(text, []byte("\n")))}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if err := reader.line(strings.TrimSuffix(line, "\n")); err != nil {
			return Saved{}, fmt.Errorf("line %d: %w", number, err)
		}
	}
	switch {
	case reader.state == savedStart && !reader.other:
		return Saved{}, fmt.Errorf("%w: %w", reader.notSaved(), ErrNoTable)
	case reader.state != savedDone:
		return Saved{}, reader.notSaved()
	}
	return Saved{Name: name, Chains: reader.chains}, nil
}

// The states of a savedReader.
const (
	savedStart = iota // before the table
	savedTable        // in it
	savedDone         // behind it
)

// savedReader reads one table, line by line.
type savedReader struct {
	chainList
	name  TableName
	state int
	other bool        // in another table
	last  *SavedChain // to which the rule before belongs; nil when a chain was added since
	rules []SavedRule // of all chains whose rules stand together: one allocation for thousands
	start int         // where those of last begin there, -1 where last has its rules elsewhere
}

// notSaved says that a text is no complete table.
func (r *savedReader) notSaved() error {
	return fmt.Errorf("not a complete %v table as iptables-save prints it", r.name)
}

// line takes one line, without its end.
func (r *savedReader) line(line string) error {
	switch {
	case line == "" || line[0] == '#':
	case r.other:
		r.other = line != "COMMIT"
	case line == "*"+r.name.String() && r.state == savedStart:
		r.state = savedTable
	case line[0] == '*' && line != "*"+r.name.String() && r.state != savedTable:
		r.other = true
	case r.state != savedTable:
		return r.notSaved()
	case line == "COMMIT":
		r.state = savedDone
	case line[0] == ':':
		return r.declaration(line)
	default:
		return r.rule(line)
	}
	return nil
}

// declaration takes the line of a chain.
func (r *savedReader) declaration(line string) error {
	chain, whole := readDeclaration(line)
	if !whole {
		return errors.New("a chain needs a name, a policy and counters")
	}
	if r.find(chain.Name) != nil {
		return fmt.Errorf("chain %s stands twice", chain.Name)
	}
	r.add(chain)
	r.last = nil
	return nil
}

// rule takes the line of a rule. Only in a part of a table, of all but nat, may the declaration
// of a chain be missing, if it is a built-in one: see Table.Text.
func (r *savedReader) rule(line string) error {
	name, rule, ok := readRule(line)
	if !ok {
		_, line = cutCounters(line)
		return fmt.Errorf("%.60q is no rule", line)
	}
	chain := r.last
	if chain == nil || chain.Name != name {
		chain = r.find(name)
	}
	if chain == nil && r.name != NAT && slices.Contains(r.name.BuiltIn(), name) {
		chain = r.add(SavedChain{Name: name})
	}
	if chain == nil {
		return fmt.Errorf("a rule for chain %.60q, which is not declared", name)
	}
	r.addRule(chain, rule)
	return nil
}

// addRule adds a rule to a chain.
func (r *savedReader) addRule(chain *SavedChain, rule SavedRule) {
	if chain != r.last {
		r.last, r.start = chain, len(r.rules)
		if len(chain.Rules) > 0 { // which iptables-save does not print in two places
			r.start = -1
		}
	}
	if r.start < 0 {
		chain.Rules = append(chain.Rules, rule)
		return
	}
	r.rules = append(r.rules, rule)
	chain.Rules = r.rules[r.start:len(r.rules):len(r.rules)]
}

// chainList is the chains of one table in the order in which they came. A chain that it
// returns may be changed there until the next one is added.
type chainList struct {
	chains []SavedChain
	places map[string]int // in chains, by the name
}

// find returns the chain of that name, or nil.
func (l *chainList) find(name string) *SavedChain {
	if place, found := l.places[name]; found {
		return &l.chains[place]
	}
	return nil
}

// add adds a chain of another name than those that are there.
func (l *chainList) add(chain SavedChain) *SavedChain {
	if l.places == nil {
		l.places = map[string]int{}
	}
	l.places[chain.Name] = len(l.chains)
	l.chains = append(l.chains, chain)
	return &l.chains[len(l.chains)-1]
}

// readDeclaration reads ":NAME POLICY [packets:bytes]"; whole is false where a part of it
// is missing.
func readDeclaration(line string) (chain SavedChain, whole bool) {
	name, rest, _ := strings.Cut(line[1:], " ")
	policy, counters, found := strings.Cut(rest, " ")
	return SavedChain{Name: name, Policy: policy, Counters: counters}, found && name != ""
}

// readRule reads "[packets:bytes] -A CHAIN ...", with the counters or without. A rule
// without a match and a target only counts.
func readRule(line string) (chain string, rule SavedRule, ok bool) {
	packets, line := cutCounters(line)
	rest, ok := strings.CutPrefix(line, "-A ")
	chain, text, _ := strings.Cut(rest, " ")
	return chain, SavedRule{Text: text, Packets: packets}, ok
}

// cutCounters splits the counters of "iptables-save -c" off a line.
func cutCounters(line string) (packets uint64, rest string) {
	counters, rest, ok := strings.Cut(line, "] ")
	if !ok || !strings.HasPrefix(counters, "[") {
		return 0, line
	}
	number, _, _ := strings.Cut(counters[1:], ":")
	packets, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, line
	}
	return packets, rest
}
