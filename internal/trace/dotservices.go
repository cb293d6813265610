package trace

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/rules"
	"natspread/internal/text"
)

// How a table is drawn by service: nodes alone, which Graphviz packs (osage(1)) in a time that
// grows as their number.
const servicesHead = `	graph [layout=osage];
	node [shape=box, fontname="monospace"];
`

// fewLines is how many listen addresses, and how many backends, the node of a service names.
const fewLines = 8

// dotServices returns a table as a graph of its services. The node of a service says where the
// service listens, and which share each of its backends gets. Before them stand the built-in chains,
// with the number of rules that they lead to.
func dotServices(table rules.Table) []byte {
	var graph strings.Builder
	fmt.Fprintf(&graph, "digraph %s {\n%s", text.Quoted("natspread "+table.String()), servicesHead)
	node := func(name string, lines []string, shape string) {
		fmt.Fprintf(&graph, "\t%s [%slabel=%s];\n", text.Quoted(name), shape, text.Quoted(strings.Join(append([]string{name}, lines...), "\n")))
	}
	listens := map[string][]rules.Rule{}
	for _, builtIn := range table.Name.BuiltIn() {
		jumps := table.Jumps(builtIn)
		if len(jumps) == 0 {
			continue
		}
		size := 0
		dispatched(table, jumps, func(rule rules.Rule) {
			size++
			name := rules.ServiceOf(rule.Target.Chain)
			rule.InInterface = ""
			if all := listens[name]; builtIn == rules.Prerouting && leadsToService(name, rule) && (len(all) == 0 || all[len(all)-1] != rule) {
				listens[name] = append(all, rule) // once for all interfaces
			}
		})
		node(builtIn, []string{text.Plural(size, "rule")}, "shape=oval, ")
	}
	for _, chain := range table.Chains {
		if name := rules.ServiceOf(chain.Name); name != "" && chain.Name == rules.ServiceChain(name) {
			node(name, slices.Concat(listenLines(listens[name]), backendLines(table, chain, listens[name])), "")
		}
	}
	graph.WriteString("}\n")
	return []byte(graph.String())
}

// leadsToService tells whether a rule leads to the chain of a service, or to its gate: not to what refuses
// clients behind the gates of several services.
func leadsToService(name string, rule rules.Rule) bool {
	return name != "" && (rule.Target.Chain == rules.ServiceChain(name) || rule.Target.Chain == rules.GateChain(name))
}

// dispatched calls show for each rule that jumps lead to before a service's own chain, each chain once.
func dispatched(table rules.Table, jumps []rules.Rule, show func(rules.Rule)) {
	seen := map[string]bool{}
	for todo := jumps; len(todo) > 0; todo = todo[1:] {
		name := todo[0].Target.Chain
		if name == "" || seen[name] || rules.ServiceOf(name) != "" {
			continue
		}
		seen[name] = true
		chain, _ := table.Chain(name)
		for _, rule := range chain.Rules {
			show(rule)
		}
		todo = append(todo, chain.Rules...)
	}
}

// listenLines says where a service listens, by the rules that lead to it.
func listenLines(listens []rules.Rule) []string {
	var lines []string
	for _, rule := range listens[:min(fewLines, len(listens))] {
		lines = append(lines, conditionWords(rule))
	}
	return append(lines, further(len(listens))...)
}

// backendLines says which share of the connections each backend gets.
func backendLines(table rules.Table, chain rules.Chain, listens []rules.Rule) []string {
	var packet rules.Packet // of a client that no rule names
	if len(listens) > 0 {
		packet.Protocol, packet.Port = listens[0].Protocol, listens[0].DestinationPorts.First
	}
	path, err := traceFrom(table, chain, packet)
	if err != nil {
		return []string{err.Error()}
	}
	var lines []string
	targets := path.Targets()
	for _, target := range targets[:min(fewLines, len(targets))] {
		words := targetWords(target)
		if target.Kind == rules.Refuse {
			words = "refused"
		}
		share, _ := path.share(target).Float64()
		lines = append(lines, words+"  "+text.Percent(share))
	}
	return append(lines, further(len(targets))...)
}

// further says how many more there are than are named.
func further(all int) []string {
	if all <= fewLines {
		return nil
	}
	return []string{fmt.Sprintf("and %d more", all-fewLines)}
}
