// Package walk divides the connections of a packet among the rules of others, as the kernel does:
// which part of them each rule takes, and which part none does.
//
// It reads rules leniently, as iptables-save prints them, and says of each what it does not
// understand. All of it is a function of the text.
package walk

import (
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/rules"
)

// Ruleset is the rules of one family.
type Ruleset struct {
	Family rules.Family
	tables map[string]map[string]*Chain
	order  map[string][]string // the names of each table's chains, as they came
}

// Chain is one chain of a table. Rules that lead to natspread's own chains are left out.
type Chain struct {
	Name   string
	Policy string // of a built-in chain
	Rules  []*Rule
}

// Rule is a rule as people know it, and what it asks for and does.
type Rule struct {
	Table, Chain string
	Place        int    // in its chain, from 1, as iptables -L --line-numbers counts
	Line         int    // of the text that it was read from
	Text         string // what stands behind "-A CHAIN "
	Comment      string // as it was written, "" for none
	Asks         Asks
	Share        Share
	Target       Target
	// Unknown is what the rule asks for and natspread cannot judge, each with its words: "-m recent
	// --update".
	Unknown []string

	tests []test
}

// String writes the rule as iptables -S does.
func (r *Rule) String() string { return strings.TrimSuffix("-A "+r.Chain+" "+r.Text, " ") }

// Asks is what a rule asks of a packet for sure. None of a kind is no condition. Of conditions that
// are inverted it has only ports, as all the others, and those whose name begins with Not.
type Asks struct {
	In, Out, Protocol string
	Source            []netip.Prefix
	Destination       []netip.Prefix
	Backend           []netip.Prefix // by --ctreplsrc
	Original          []netip.Prefix // by --ctorigdst
	Ports             []rules.Ports
	Named             []rules.Ports // all that it names, inverted ones and those of the original destination, too
	NotLinks          []string      // of "! -i"
	NotDestination    []netip.Prefix
}

// Mode is how a rule takes only some of the connections that reach it.
type Mode int

// The modes.
const (
	All     Mode = iota
	Random       // by chance
	Nth          // in turn; each rule counts what reaches it
	Counter      // of old kernels: in turn, by a counter that several rules share
)

// Share is the part of what reaches a rule that it takes.
type Share struct {
	Mode    Mode
	Part    float64 // 0 to 1
	Every   int     // Nth and Counter
	Packet  int
	Counter string // its number
}

// Kind is what a rule does to a connection.
type Kind int

// The kinds.
const (
	Passes     Kind = iota // it goes on to the next rule
	Accepts                // ACCEPT: no rule of the table changes it
	Drops                  // DROP, REJECT
	Returns                // RETURN
	Jumps                  // to a chain
	Translates             // DNAT, REDIRECT: the destination is rewritten
	Hides                  // SNAT, MASQUERADE: the source is rewritten
	Opaque                 // a target that natspread does not know, or that no config can say
)

// Target is the end of a rule.
type Target struct {
	Kind    Kind
	Name    string // DNAT, or that of a chain
	Goto    bool
	Address netip.Addr  // Translate: not valid is this host; Hides: not valid is that of the interface
	Last    netip.Addr  // the last one of a range of addresses; not valid for a single one
	Ports   rules.Ports // none keeps the port
	Base    uint16      // of a shifted range of ports: the port that the first one is for
	Options []string    // --random, --persistent
}

// Backend writes where a translated connection goes, as a config does: "10.0.0.1:80". A host
// without an address is "this host".
func (t Target) Backend() string {
	name := "this host"
	switch {
	case t.Address.Is6() && t.Ports != rules.Ports{}:
		name = "[" + t.Address.String() + "]"
	case t.Address.IsValid():
		name = t.Address.String()
	}
	if t.Last.IsValid() {
		name += "-" + t.Last.String()
	}
	if t.Ports != (rules.Ports{}) {
		name += ":" + portsText(t.Ports)
	}
	return name
}

// Chain returns a chain of a table; nil where there is none.
func (s *Ruleset) Chain(table, name string) *Chain { return s.tables[table][name] }

// Has tells whether a table was read.
func (s *Ruleset) Has(table string) bool { return s.tables[table] != nil }

// Rules returns all rules of a table, chain by chain.
func (s *Ruleset) Rules(table string) []*Rule {
	var all []*Rule
	for _, name := range s.order[table] {
		all = append(all, s.tables[table][name].Rules...)
	}
	return all
}

// Translates tells whether a rule of the nat table rewrites destinations.
func (s *Ruleset) Translates() bool {
	return slices.ContainsFunc(s.Rules("nat"), func(r *Rule) bool { return r.Target.Kind == Translates })
}

// Parse reads what iptables-save printed. It is lenient, as rules.ParseRuleset is.
func Parse(family rules.Family, text []byte) *Ruleset {
	return read(rules.ParseRuleset(family, "", text), linesOf(text))
}

// Live takes the rules that one variant of iptables holds. Of those that iptables shows only in part it is
// not known what they ask for.
func Live(saved rules.Ruleset, partly []rules.PartlyShown) *Ruleset {
	set := read(saved, nil)
	for _, one := range partly {
		chain := set.Chain(one.Table, one.Chain)
		if one.Family != saved.Family || saved.Variant != rules.NFT || chain == nil {
			continue
		}
		for _, rule := range chain.Rules {
			if rule.Place == one.Place {
				rule.Unknown = append(rule.Unknown, "what nft made and iptables does not show")
			}
		}
	}
	return set
}

// read reads all tables, each rule with the line that it stands in, if there are any.
func read(saved rules.Ruleset, lines map[place][]int) *Ruleset {
	set := &Ruleset{Family: saved.Family, tables: map[string]map[string]*Chain{}, order: map[string][]string{}}
	for table, chains := range saved.Tables {
		set.tables[table] = map[string]*Chain{}
		for _, chain := range chains {
			set.order[table] = append(set.order[table], chain.Name)
			set.tables[table][chain.Name] = &Chain{Name: chain.Name, Policy: chain.Policy}
		}
		for _, chain := range chains {
			if !rules.IsOwn(chain.Name) {
				set.read(table, chain, lines[place{table, chain.Name}])
			}
		}
	}
	return set
}

// read reads the rules of a chain, each with the line that it stands in.
func (s *Ruleset) read(table string, chain rules.SavedChain, lines []int) {
	into := s.tables[table][chain.Name]
	for i, saved := range chain.Rules {
		rule := &Rule{Table: table, Chain: chain.Name, Place: i + 1, Text: saved.Text}
		if i < len(lines) {
			rule.Line = lines[i]
		}
		reader := optionReader{rule: rule, words: slices.Collect(saved.Words())}
		reader.all()
		if rules.IsOwn(rule.Target.Name) {
			continue
		}
		if _, leads := s.tables[table][rule.Target.Name]; leads && rule.Target.Name != "" {
			rule.Target.Kind = Jumps
		}
		into.Rules = append(into.Rules, rule)
	}
}

// place is where rules stand.
type place struct{ table, chain string }

// linesOf returns the numbers of the lines of each chain's rules.
func linesOf(text []byte) map[place][]int {
	found := map[place][]int{}
	table, number := "", 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if name, begins := strings.CutPrefix(line, "*"); begins {
			table = name
			continue
		}
		if chain, declares := strings.CutPrefix(line, ":"); declares {
			chain, _, _ = strings.Cut(chain, " ")
			delete(found, place{table, chain}) // a chain that is declared again begins again
			continue
		}
		_, rule, counted := strings.Cut(line, "] -A ")
		if !counted || !strings.HasPrefix(line, "[") {
			rule, counted = strings.CutPrefix(line, "-A ")
		}
		if chain, _, _ := strings.Cut(rule, " "); counted {
			at := place{table, chain}
			found[at] = append(found[at], number)
		}
	}
	return found
}
