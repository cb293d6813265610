package trace

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"natspread/internal/rules"
	"natspread/internal/text"
)

// How the graph is drawn: from left to right, a chain's rules from the top down. The boxes have a
// margin for readers whose font is wider than that of Graphviz.
const dotHead = `	graph [rankdir=LR];
	node [shape=record, margin="0.2,0.055", fontname="monospace"];
`

// manyRules is how many rules are drawn one by one. Graphviz draws so many within a second, and
// then takes ever longer for each: the rules of a thousand services take it minutes, and nobody
// can read them.
const manyRules = 1000

// Dot returns a table as a directed graph in the language of Graphviz (dot(1)): a node for each
// chain with a row for each rule, and an edge for each rule that leads to a chain. The row of a
// rule has its place, its conditions and its target; in the chains that pick a backend also the
// share of the service's new connections that it takes. A dashed edge is a jump that comes back
// when the chain has nothing for a packet (-j); from others there is no way back (-g). A table of
// too many rules is drawn by service.
func Dot(table rules.Table) []byte {
	size := 0
	for _, chain := range table.Chains {
		size += len(chain.Rules)
	}
	if size > manyRules {
		return dotServices(table)
	}
	graph := drawing{shares: sharesOf(table)}
	fmt.Fprintf(&graph, "digraph %s {\n%s", text.Quoted("natspread "+table.String()), dotHead)
	builtIns := table.Name.BuiltIn()
	last := len(builtIns) - 1 // of a packet; Graphviz draws below the others what comes first
	for _, builtIn := range slices.Concat(builtIns[last:], builtIns[:last]) {
		if jumps := table.Jumps(builtIn); len(jumps) > 0 {
			graph.chain(rules.Chain{Name: builtIn, Rules: jumps}, builtIn, "style=rounded, ")
		}
	}
	for _, chain := range table.Chains {
		graph.chain(chain, chain.Name+`\n`+text.Plural(len(chain.Rules), "rule"), "")
	}
	graph.WriteString("}\n")
	return []byte(graph.String())
}

// drawing is a graph that is written.
type drawing struct {
	strings.Builder
	shares map[row]float64
}

// chain writes the node of a chain, and the edges from its rows.
func (d *drawing) chain(chain rules.Chain, heading, style string) {
	var edges strings.Builder
	fmt.Fprintf(d, "\t%s [%slabel=\"%s", text.Quoted(chain.Name), style, heading)
	for i, rule := range chain.Rules {
		fmt.Fprintf(d, "|<%d>%s", i+1, rowLines(i+1, d.words(row{chain.Name, i + 1}, rule)))
		line := ""
		if rule.Target.Kind == rules.Jump {
			line = " [style=dashed]"
		}
		if rule.Target.Chain != "" {
			fmt.Fprintf(&edges, "\t%s:%d -> %s%s;\n", text.Quoted(chain.Name), i+1, text.Quoted(rule.Target.Chain), line)
		}
	}
	d.WriteString("\"];\n" + edges.String())
}

// words returns what the row of a rule says, in parts that stay together: its conditions, its
// share, and its target but for a chain, to which an edge leads.
func (d *drawing) words(at row, rule rules.Rule) []string {
	parts := optionsOf(conditionWords(rule))
	if share, known := d.shares[at]; known {
		if len(parts) > 0 {
			parts[len(parts)-1] += ","
		}
		parts = append(parts, text.Percent(share))
	}
	switch {
	case rule.Target.Kind == rules.DNAT:
		parts = append(parts, "to "+targetWords(rule.Target))
	case rule.Target.Chain == "":
		target := string(rules.Rule{Target: rule.Target}.AppendText(nil))
		if len(target) <= widestLine {
			parts = append(parts, target)
		} else {
			parts = append(parts, optionsOf(target)...)
		}
	case len(parts) == 0:
		parts = []string{"all"}
	}
	return parts
}

// optionsOf divides words of iptables before each option, with the ! before it.
func optionsOf(words string) []string {
	words = strings.ReplaceAll(strings.ReplaceAll(words, " -", "\n-"), "!\n-", "! -")
	words = strings.ReplaceAll(words, " ! -", "\n! -")
	return strings.FieldsFunc(words, func(r rune) bool { return r == '\n' })
}

// widestLine is how many letters a line of a row may have: three chains side by side fit a page.
const widestLine = 46

// rowLines returns the row of a rule by its place and its parts, broken between them where it
// gets too wide. What shape=record takes for the end of a row stands behind a backslash.
func rowLines(number int, parts []string) string {
	lines := []string{fmt.Sprintf("%d:", number)}
	for i, part := range parts {
		last := lines[len(lines)-1] + " " + part
		if i > 0 && utf8.RuneCountInString(last) > widestLine {
			lines = append(lines, part)
		} else {
			lines[len(lines)-1] = last
		}
	}
	var row strings.Builder
	for _, letter := range strings.Join(lines, "\n") + "\n" {
		switch {
		case letter == '\n':
			row.WriteString(`\l`)
		case strings.ContainsRune(`\"{}|<>`, letter):
			row.WriteString(`\` + string(letter))
		default:
			row.WriteRune(letter)
		}
	}
	return row.String()
}

// targetWords returns a target that is an end, in iptables' words but for a backend,
// which stands for itself.
func targetWords(target rules.Target) string {
	words := string(rules.Rule{Target: target}.AppendText(nil))
	words = strings.TrimPrefix(words, "-j ")
	return strings.TrimPrefix(words, "DNAT --to-destination ")
}

// conditionWords returns the conditions of a rule in iptables' words, but for the match that
// spreads connections: its probability is one of what the rules before it left.
func conditionWords(rule rules.Rule) string {
	rule.Statistic, rule.Comment, rule.Target = rules.Statistic{}, "", rules.Target{Kind: rules.Masquerade}
	return strings.TrimSpace(strings.TrimSuffix(string(rule.AppendText(nil)), "-j MASQUERADE"))
}
