package restore

import (
	"fmt"
	"slices"

	"natspread/nat"
)

// layout is natspread's part of a nat table as text: its own chains, and where in
// the built-in chains its jumps stand. It is made from a table that is wanted, or
// from a live one to which the kernel may have to go back.
type layout struct {
	chains map[string][]string // name to rules
	order  []string            // names of chains, in order
	jumps  map[string][]placed // built-in chain to jumps
}

// placed is a rule and its place in its chain, from 1 as in iptables -I.
type placed struct {
	place int
	text  string
}

// layoutOf returns the layout that a table wants: each jump once, and first in
// its chain, so that no foreign rule takes a connection before it.
func layoutOf(table nat.Table) layout {
	want := layout{chains: map[string][]string{}, jumps: map[string][]placed{}}
	for _, chain := range table.Chains {
		rules := make([]string, len(chain.Rules))
		for i, rule := range chain.Rules {
			rules[i] = string(rule.AppendText(nil))
		}
		want.order = append(want.order, chain.Name)
		want.chains[chain.Name] = rules
	}
	for _, builtIn := range nat.BuiltIn() {
		for i, jump := range table.Jumps(builtIn) {
			want.jumps[builtIn] = append(want.jumps[builtIn], placed{place: i + 1, text: string(jump.AppendText(nil))})
		}
	}
	return want
}

// layoutOfSaved returns the layout that stands in a live table, whatever someone
// made of it.
func layoutOfSaved(saved nat.Saved) layout {
	live := layout{chains: map[string][]string{}, jumps: map[string][]placed{}}
	for _, chain := range saved.OwnChains() {
		rules := make([]string, len(chain.Rules))
		for i, rule := range chain.Rules {
			rules[i] = rule.Text
		}
		live.order = append(live.order, chain.Name)
		live.chains[chain.Name] = rules
	}
	for _, builtIn := range nat.BuiltIn() {
		chain, _ := saved.Chain(builtIn)
		for i, rule := range chain.Rules {
			if nat.IsOwn(rule.JumpsTo()) {
				live.jumps[builtIn] = append(live.jumps[builtIn], placed{place: i + 1, text: rule.Text})
			}
		}
	}
	return live
}

// begin is the first line of a transaction.
const begin = "*nat\n"

// transaction returns the text for "iptables-restore --noflush" that leads from
// one layout to another in one step, nil when there is nothing to do. It declares,
// and thereby empties, only chains that change, so the counters of all others go on,
// and by nft their turns too; jumps that are not what they should be are taken out by their
// text, every one, and put in by their place.
func transaction(live, want layout) []byte {
	var declare, remove, add, insert, drop []byte
	for _, name := range want.order {
		rules, held := live.chains[name]
		if held && slices.Equal(rules, want.chains[name]) {
			continue
		}
		declare = fmt.Appendf(declare, ":%s - [0:0]\n", name)
		for _, rule := range want.chains[name] {
			add = fmt.Appendf(add, "-A %s %s\n", name, rule)
		}
	}
	for _, name := range live.order {
		if _, wanted := want.chains[name]; !wanted {
			declare = fmt.Appendf(declare, ":%s - [0:0]\n", name)
			drop = fmt.Appendf(drop, "-X %s\n", name)
		}
	}
	for _, builtIn := range nat.BuiltIn() {
		if slices.Equal(live.jumps[builtIn], want.jumps[builtIn]) {
			continue
		}
		for _, jump := range live.jumps[builtIn] {
			remove = fmt.Appendf(remove, "-D %s %s\n", builtIn, jump.text)
		}
		for _, jump := range want.jumps[builtIn] {
			insert = fmt.Appendf(insert, "-I %s %d %s\n", builtIn, jump.place, jump.text)
		}
	}
	var body []byte
	for _, part := range [][]byte{declare, remove, add, insert, drop} {
		body = append(body, part...)
	}
	if len(body) == 0 {
		return nil
	}
	return append(append([]byte(begin), body...), "COMMIT\n"...)
}
