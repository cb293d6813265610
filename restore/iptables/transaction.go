package iptables

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/rules"
)

// ownedState is natspread's part of a table as text: its own chains, and where in
// the built-in chains its jumps stand. It is made from a table that is wanted, or
// from a live one that may have to be loaded again.
type ownedState struct {
	name   rules.TableName
	chains map[string]string   // name to rules, one "-A CHAIN …" line each
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
	want := newState(table.Name, len(table.Chains))
	ends := make([]int, len(table.Chains))
	var all strings.Builder // of all chains: one allocation for thousands
	all.Grow(table.Length())
	var text []byte
	for i, chain := range table.Chains {
		text = chain.AppendText(text[:0])
		all.Write(text)
		ends[i] = all.Len()
	}
	start := 0
	for i, end := range ends {
		want.add(table.Chains[i].Name, all.String()[start:end])
		start = end
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
	live := newState(saved.Name, len(saved.Chains))
	var text []byte
	for _, chain := range saved.OwnChains() {
		text = chain.AppendText(text[:0])
		live.add(chain.Name, string(text))
	}
	for _, builtIn := range saved.Name.BuiltIn() {
		if jumps := jumpsIn(saved, builtIn); len(jumps) > 0 {
			live.jumps[builtIn] = jumps
		}
	}
	return live
}

// newState returns a state without chains and jumps, that has room for some.
func newState(name rules.TableName, chains int) ownedState {
	return ownedState{name: name, chains: make(map[string]string, chains), order: make([]string, 0, chains), jumps: map[string][]placed{}}
}

// add adds a chain, whose rules are "-A CHAIN …" lines.
func (s *ownedState) add(name, lines string) {
	s.order = append(s.order, name)
	s.chains[name] = lines
}

// hasJumps tells whether each jump of a state is in its place in a live table, and no other.
func (s ownedState) hasJumps(saved rules.Saved) bool {
	return !slices.ContainsFunc(s.name.BuiltIn(), func(builtIn string) bool {
		return !slices.Equal(jumpsIn(saved, builtIn), s.jumps[builtIn])
	})
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
	var changed, gone []string
	size := len(remove)
	for _, name := range want.order {
		held, found := live.chains[name]
		if !found || held != want.chains[name] || slices.Contains(renewed, name) {
			changed = append(changed, name)
			size += len(want.chains[name]) + 2*len(name)
		}
	}
	for _, name := range live.order {
		if _, wanted := want.chains[name]; !wanted {
			gone = append(gone, name)
			size += 3 * len(name)
		}
	}
	head := begin(want.name)
	text := append(make([]byte, 0, size+1<<10), head...)
	text = declare(text, slices.Concat(changed, gone))
	text = append(text, remove...)
	for _, name := range renewed {
		text = fmt.Appendf(text, "-X %s\n-N %s\n", name, name)
	}
	for _, name := range changed {
		text = append(text, want.chains[name]...)
	}
	text = insertJumps(text, live, want)
	for _, name := range gone {
		text = fmt.Appendf(text, "-X %s\n", name)
	}
	if len(text) == len(head) {
		return nil
	}
	return append(text, "COMMIT\n"...)
}

// insertJumps appends the lines that put in the jumps of each built-in chain where they are not
// what they should be.
func insertJumps(lines []byte, live, want ownedState) []byte {
	for _, builtIn := range want.name.BuiltIn() {
		if slices.Equal(live.jumps[builtIn], want.jumps[builtIn]) {
			continue
		}
		for _, jump := range want.jumps[builtIn] {
			lines = fmt.Appendf(lines, "-I %s %d %s\n", builtIn, jump.place, jump.text)
		}
	}
	return lines
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

// declare appends the lines that make or empty chains. The kernel keeps chains in
// the order in which they were made, and iptables-nft-save sorts them by a quicksort
// that compares with the first one: sorted before, thousands take a second and more. So
// of many the middle one comes first, then the middle of either half, and so on.
func declare(lines []byte, names []string) []byte {
	if len(names) < many {
		for _, name := range names {
			lines = appendDeclaration(lines, name)
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
		lines = appendDeclaration(lines, part[middle])
		parts = append(parts, part[:middle], part[middle+1:])
	}
	return lines
}

// appendDeclaration appends the line that makes or empties a chain.
func appendDeclaration(lines []byte, name string) []byte {
	return append(append(append(lines, ':'), name...), " - [0:0]\n"...)
}
