package trace

import (
	"fmt"
	"strings"

	"natspread/internal/rules"
	"natspread/internal/text"
)

// How the graph is drawn: from left to right, a chain's rules from the top down.
const dotHead = `	graph [rankdir=LR, ordering=out];
	node [shape=box, fontname="monospace"];
	edge [fontname="monospace", fontsize=10];
`

// manyRules is how many rules are drawn one by one. Graphviz draws so many within a second, and
// then takes ever longer for each: the rules of a thousand services take it minutes, and nobody
// can read them.
const manyRules = 1000

// Dot returns a table as a directed graph in the language of Graphviz (dot(1)): a
// node for each chain with the number of its rules, and an edge for each rule with its
// place and its conditions, to a chain or to an end like a backend. A dashed edge is a
// jump that comes back when the chain has nothing for a packet (-j), or a target that only
// marks it; from others there is no way back (-g). A table of too many rules is drawn by
// service.
func Dot(table rules.Table) []byte {
	size := 0
	for _, chain := range table.Chains {
		size += len(chain.Rules)
	}
	if size > manyRules {
		return dotServices(table)
	}
	var graph strings.Builder
	fmt.Fprintf(&graph, "digraph %s {\n%s", text.Quoted("natspread "+table.String()), dotHead)
	for _, builtIn := range table.Name.BuiltIn() {
		if jumps := table.Jumps(builtIn); len(jumps) > 0 {
			fmt.Fprintf(&graph, "\t%s [shape=oval];\n", text.Quoted(builtIn))
			draw(&graph, rules.Chain{Name: builtIn, Rules: jumps})
		}
	}
	for _, chain := range table.Chains {
		words := chain.Name + "\n" + text.Plural(len(chain.Rules), "rule")
		fmt.Fprintf(&graph, "\t%s [label=%s];\n", text.Quoted(chain.Name), text.Quoted(words))
		draw(&graph, chain)
	}
	graph.WriteString("}\n")
	return []byte(graph.String())
}

// draw writes the edges of a chain. Each rule that leads to no chain has a node of its own.
func draw(graph *strings.Builder, chain rules.Chain) {
	for i, rule := range chain.Rules {
		to, style := rule.Target.Chain, ""
		if rule.Target.Kind == rules.Jump || !rule.Target.Ends() {
			style = ", style=dashed"
		}
		switch rule.Target.Kind {
		case rules.Jump, rules.Goto:
		default:
			to = fmt.Sprintf("%s %d", chain.Name, i+1)
			fmt.Fprintf(graph, "\t%s [shape=plain, label=%s];\n", text.Quoted(to), text.Quoted(targetWords(rule.Target)))
		}
		fmt.Fprintf(graph, "\t%s -> %s [label=%s%s];\n", text.Quoted(chain.Name), text.Quoted(to), text.Quoted(fmt.Sprintf("%d: %s", i+1, conditionWords(rule))), style)
	}
}

// targetWords returns a target that is an end, in iptables' words but for a backend,
// which stands for itself.
func targetWords(target rules.Target) string {
	words := string(rules.Rule{Target: target}.AppendText(nil))
	words = strings.TrimPrefix(words, "-j ")
	return strings.TrimPrefix(words, "DNAT --to-destination ")
}

// conditionWords returns the conditions of a rule in iptables' words,
// but for the match that spreads connections, whose words say only how many it takes.
func conditionWords(rule rules.Rule) string {
	statistic := rule.Statistic
	rule.Statistic, rule.Comment, rule.Target = rules.Statistic{}, "", rules.Target{Kind: rules.Masquerade}
	words := strings.TrimSuffix(string(rule.AppendText(nil)), "-j MASQUERADE")
	switch {
	case statistic.Steps != 0:
		words += fmt.Sprintf("%.4g %%", 100*float64(statistic.Steps)/rules.ProbabilityScale)
	case statistic.Every != 0:
		words += fmt.Sprintf("1 of %d", statistic.Every)
	}
	if words == "" {
		words = "all"
	}
	return strings.TrimSpace(words)
}
