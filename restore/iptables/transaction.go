package iptables

import (
	"fmt"
	"slices"

	"natspread/internal/rules"
)

// ownedState is natspread's part of a table as text: its own chains, and where in
// the built-in chains its jumps stand. It is made from a table that is wanted, or
// from a live one that may have to be loaded again.
type ownedState struct {
	name   rules.TableName
	chains map[string][]string // name to rules
	order  []string            // names of chains, in order
	jumps  map[string][]placed // built-in chain to jumps
}

// placed is a rule and its place in its chain, from 1 as in iptables -I.
type placed struct {
	place int
	text  string
}

// stateOf returns the state that a table wants: each jump once, and first in its chain, so
// that no foreign rule takes a connection before it. In FORWARD the place is given.
func stateOf(table rules.Table, inForward int) ownedState {
	want := ownedState{name: table.Name, chains: map[string][]string{}, jumps: map[string][]placed{}}
	var text []byte
	var ends []int
	for _, chain := range table.Chains {
		text, ends = text[:0], ends[:0]
		for _, rule := range chain.Rules {
			text = rule.AppendText(text)
			ends = append(ends, len(text))
		}
		all, from := string(text), 0 // one string for all rules of a chain
		rules := make([]string, len(chain.Rules))
		for i, end := range ends {
			rules[i], from = all[from:end], end
		}
		want.order = append(want.order, chain.Name)
		want.chains[chain.Name] = rules
	}
	for _, builtIn := range table.Name.BuiltIn() {
		first := 1
		if builtIn == rules.Forward {
			first = inForward
		}
		for i, jump := range table.Jumps(builtIn) {
			want.jumps[builtIn] = append(want.jumps[builtIn], placed{place: first + i, text: string(jump.AppendText(nil))})
		}
	}
	return want
}

// stateOfSaved returns the state that stands in a live table, whatever someone
// made of it.
func stateOfSaved(saved rules.Saved) ownedState {
	live := ownedState{name: saved.Name, chains: map[string][]string{}, jumps: map[string][]placed{}}
	for _, chain := range saved.OwnChains() {
		rules := make([]string, len(chain.Rules))
		for i, rule := range chain.Rules {
			rules[i] = rule.Text
		}
		live.order = append(live.order, chain.Name)
		live.chains[chain.Name] = rules
	}
	for _, builtIn := range saved.Name.BuiltIn() {
		if jumps := jumpsIn(saved, builtIn); len(jumps) > 0 {
			live.jumps[builtIn] = jumps
		}
	}
	return live
}

// begin returns the first line of a transaction.
func begin(name rules.TableName) []byte { return []byte("*" + name.String() + "\n") }

// transaction returns the text for "iptables-restore --noflush" that leads from
// one state to another of the same table in one step, nil when there is nothing to do. It declares,
// and thereby empties, only chains that change, so the counters of all others go on,
// and by nft their turns too; jumps that are not what they should be are taken out by their
// text, every one, and put in by their place.
func transaction(live, want ownedState) []byte {
	return compose(live, want, wrongJumps(live, want, deleteByText), nil)
}

// transactionByPlace is transaction for jumps that cannot be taken out by their text, such as
// one that was loaded with another revision of a match: iptables finds no rule like that. It
// deletes what was read at the place of each.
//
// If somebody moved them since, the places are those of other rules. So the chain that each
// leads to is deleted, and made anew where it is wanted. That the kernel refuses, and with
// it all of the transaction, as long as any rule leads there.
func transactionByPlace(live, want ownedState) []byte {
	var renewed []string
	for _, builtIn := range want.name.BuiltIn() {
		if len(live.jumps[builtIn]) == 0 || slices.Equal(live.jumps[builtIn], want.jumps[builtIn]) {
			continue
		}
		for _, entry := range want.name.EntryChains(builtIn) {
			_, held := live.chains[entry]
			if _, stays := want.chains[entry]; held && stays {
				renewed = append(renewed, entry)
			}
		}
	}
	return compose(live, want, wrongJumps(live, want, deleteByPlace), renewed)
}

// compose returns the text of a transaction that takes out what remove does, and makes some
// chains anew.
func compose(live, want ownedState, remove []byte, renewed []string) []byte {
	var declared []string
	var renew, add, insert, drop []byte
	for _, name := range renewed {
		renew = fmt.Appendf(renew, "-X %s\n-N %s\n", name, name)
	}
	for _, name := range want.order {
		rules, held := live.chains[name]
		if held && slices.Equal(rules, want.chains[name]) && !slices.Contains(renewed, name) {
			continue
		}
		declared = append(declared, name)
		for _, rule := range want.chains[name] {
			add = append(append(append(append(append(add, "-A "...), name...), ' '), rule...), '\n')
		}
	}
	for _, name := range live.order {
		if _, wanted := want.chains[name]; !wanted {
			declared = append(declared, name)
			drop = fmt.Appendf(drop, "-X %s\n", name)
		}
	}
	for _, builtIn := range want.name.BuiltIn() {
		if slices.Equal(live.jumps[builtIn], want.jumps[builtIn]) {
			continue
		}
		for _, jump := range want.jumps[builtIn] {
			insert = fmt.Appendf(insert, "-I %s %d %s\n", builtIn, jump.place, jump.text)
		}
	}
	body := slices.Concat(declarations(declared), remove, renew, add, insert, drop)
	if len(body) == 0 {
		return nil
	}
	return slices.Concat(begin(want.name), body, []byte("COMMIT\n"))
}

// wrongJumps returns the lines that take out the jumps of each built-in chain where they are
// not what they should be. line appends the one for a jump.
func wrongJumps(live, want ownedState, line func(lines []byte, builtIn string, jump placed) []byte) []byte {
	var lines []byte
	for _, builtIn := range want.name.BuiltIn() {
		if slices.Equal(live.jumps[builtIn], want.jumps[builtIn]) {
			continue
		}
		for _, jump := range slices.Backward(live.jumps[builtIn]) { // so that the places before it stay
			lines = line(lines, builtIn, jump)
		}
	}
	return lines
}

// deleteByText appends the line that deletes the first rule with the text of a jump.
func deleteByText(lines []byte, builtIn string, jump placed) []byte {
	return fmt.Appendf(lines, "-D %s %s\n", builtIn, jump.text)
}

// deleteByPlace appends the line that deletes the rule at the place of a jump.
func deleteByPlace(lines []byte, builtIn string, jump placed) []byte {
	return fmt.Appendf(lines, "-D %s %d\n", builtIn, jump.place)
}

// declarations returns the lines that make or empty chains. The kernel keeps chains in
// the order in which they were made, and iptables-nft-save sorts them by a quicksort
// that compares with the first one: sorted before, thousands take a second and more. So
// of many the middle one comes first, then the middle of either half, and so on.
func declarations(names []string) []byte {
	var lines []byte
	if len(names) < many {
		for _, name := range names {
			lines = fmt.Appendf(lines, ":%s - [0:0]\n", name)
		}
		return lines
	}
	slices.Sort(names)
	for parts := [][]string{names}; len(parts) > 0; parts = parts[1:] {
		part := parts[0]
		if len(part) == 0 {
			continue
		}
		middle := len(part) / 2
		lines = fmt.Appendf(lines, ":%s - [0:0]\n", part[middle])
		parts = append(parts, part[:middle], part[middle+1:])
	}
	return lines
}
