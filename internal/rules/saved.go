package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Saved is a table as iptables-save printed it, ours and everyone else's, each rule
// as the text that it was.
type Saved struct {
	Name   TableName
	Chains []SavedChain
}

// SavedChain is one chain of a Saved.
type SavedChain struct {
	Name     string
	Policy   string // ACCEPT or DROP for a built-in chain, "-" for others
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

// notSaved says that a text is no complete table.
func (r *savedReader) notSaved() error {
	return fmt.Errorf("not a complete %v table as iptables-save prints it", r.saved.Name)
}

// ParseSaved reads a table from what iptables-save printed, with counters (-c) or
// without. Comment lines and other tables are passed over.
func ParseSaved(kind TableName, text []byte) (Saved, error) {
	reader := savedReader{saved: Saved{Name: kind}, index: map[string]int{}}
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
	return reader.saved, nil
}

// The states of a savedReader.
const (
	savedStart = iota // before the table
	savedTable        // in it
	savedDone         // behind it
)

// savedReader builds a Saved line by line.
type savedReader struct {
	saved Saved
	index map[string]int // chain name to place in saved.Chains
	state int
	other bool // in another table
}

// line takes one line, without its end.
func (r *savedReader) line(line string) error {
	switch {
	case line == "" || line[0] == '#':
		return nil
	case r.other:
		r.other = line != "COMMIT"
		return nil
	case line == "*"+r.saved.Name.String() && r.state == savedStart:
		r.state = savedTable
		return nil
	case line[0] == '*' && line != "*"+r.saved.Name.String() && r.state != savedTable:
		r.other = true
		return nil
	case r.state != savedTable:
		return r.notSaved()
	case line == "COMMIT":
		r.state = savedDone
		return nil
	case line[0] == ':':
		return r.chain(line[1:])
	default:
		return r.rule(line)
	}
}

// chain takes "NAME POLICY [packets:bytes]".
func (r *savedReader) chain(line string) error {
	name, rest, _ := strings.Cut(line, " ")
	policy, counters, ok := strings.Cut(rest, " ")
	if !ok || name == "" {
		return errors.New("a chain needs a name, a policy and counters")
	}
	if _, double := r.index[name]; double {
		return fmt.Errorf("chain %s stands twice", name)
	}
	r.index[name] = len(r.saved.Chains)
	r.saved.Chains = append(r.saved.Chains, SavedChain{Name: name, Policy: policy, Counters: counters})
	return nil
}

// rule takes "[packets:bytes] -A CHAIN …", with the counters or without.
func (r *savedReader) rule(line string) error {
	packets, line := cutCounters(line)
	rest, ok := strings.CutPrefix(line, "-A ")
	if !ok {
		return fmt.Errorf("%.60q is no rule", line)
	}
	name, text, ok := strings.Cut(rest, " ")
	if !ok { // a rule without match and target only counts
		name, text = rest, ""
	}
	i, ok := r.index[name]
	if !ok && r.saved.Name == Filter && slices.Contains(Filter.BuiltIn(), name) { // a part: see Table.Text
		i, ok = len(r.saved.Chains), true
		r.index[name] = i
		r.saved.Chains = append(r.saved.Chains, SavedChain{Name: name})
	}
	if !ok {
		return fmt.Errorf("a rule for chain %.60q, which is not declared", name)
	}
	chain := &r.saved.Chains[i]
	chain.Rules = append(chain.Rules, SavedRule{Text: text, Packets: packets})
	return nil
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

// Chain returns the chain of that name and whether there is one.
func (s Saved) Chain(name string) (SavedChain, bool) {
	i := slices.IndexFunc(s.Chains, func(c SavedChain) bool { return c.Name == name })
	if i < 0 {
		return SavedChain{}, false
	}
	return s.Chains[i], true
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
// and compare: what is in step gives the same text, byte for byte.
func (s Saved) OwnText() []byte {
	own := s.OwnChains()
	b := Table{Name: s.Name}.appendHead(nil)
	for _, chain := range own {
		b = appendDeclaration(b, chain.Name, "-")
	}
	for _, name := range s.Name.BuiltIn() {
		b = appendSaved(b, name, s.Jumps(name))
	}
	for _, chain := range own {
		b = appendSaved(b, chain.Name, chain.Rules)
	}
	return append(b, "COMMIT\n"...)
}

// appendSaved appends rules of a chain, one "-A CHAIN …" line each.
func appendSaved(b []byte, chain string, rules []SavedRule) []byte {
	for _, rule := range rules {
		b = append(append(b, "-A "...), chain...)
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
	words := splitWords(r.Text)
	for i := 0; i+1 < len(words); i++ {
		// A comment may be the bare word -j; its follower is then an option.
		if (words[i] == "-j" || words[i] == "-g") && !strings.HasPrefix(words[i+1], "-") {
			return words[i+1]
		}
	}
	return ""
}

// Words returns the words of the rule; a quoted one keeps its quotes.
func (r SavedRule) Words() []string { return splitWords(r.Text) }

// splitWords splits a rule at its spaces, except inside double quotes, where a
// backslash takes the next byte's meaning away: the way iptables-save quotes. A
// quoted word keeps its quotes, so it is never taken for an option.
func splitWords(text string) []string {
	var words []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quoted:
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ' ' && !quoted:
			words = append(words, text[start:i])
			start = i + 1
		}
	}
	return append(words, text[start:])
}

// Own reads natspread's part, strictly: see Parse.
func (s Saved) Own(family Family) (Table, error) {
	table := Table{Family: family, Name: s.Name}
	var buffer []byte
	for _, chain := range s.OwnChains() {
		if !ownChain(chain.Name) {
			return Table{}, fmt.Errorf("%.60q is no name of an own chain", chain.Name)
		}
		rules := make([]Rule, len(chain.Rules))
		for i, rule := range chain.Rules {
			var err error
			if buffer, err = rules[i].parse(rule.Text, buffer); err == nil && !rules[i].Target.belongs(s.Name) {
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
