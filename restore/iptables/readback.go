package iptables

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"natspread/internal/rules"
)

// few is up to how many chains are read alone. Where a table has 20,000, that takes a fiftieth
// of the time of a read of the whole table.
const few = 256

// readBack reads back what a transaction led to, that began when nftables' ruleset had a
// number, and returns the number of the ruleset in which it was read. If nobody else
// changed anything meanwhile, by nft, and only a few chains were changed, the kernel is
// asked for these and for the built-in ones: of the rest it still holds what was read.
// Else it is asked for the whole table.
func (k Kernel) readBack(ctx context.Context, ruleset uint32, sent []byte, table rules.Table, want ownedState) (uint32, error) {
	now := k.RulesetID()
	if ruleset != 0 && now == ruleset+1 && !deletes(sent) {
		declared := declaredIn(sent)
		if len(declared) <= few && k.holdsChains(ctx, table.Family, declared, want) && k.RulesetID() == now {
			return now, nil
		}
	}
	now = k.RulesetID()
	after, inPlace, err := k.saveAs(ctx, table, want)
	if err == nil && !inPlace {
		err = Compare(after, table) // a jump that somebody else pushed down meanwhile is no failure
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read the %s rules back: %w", table.String(), err)
	}
	if !inPlace || k.RulesetID() != now {
		return 0, nil
	}
	return now, nil
}

// declaredIn returns the chains that a transaction declares, all of them behind its first line.
func declaredIn(transaction []byte) (names []string) {
	_, rest, _ := bytes.Cut(transaction, []byte("\n"))
	for bytes.HasPrefix(rest, []byte(":")) {
		line, behind, _ := bytes.Cut(rest[1:], []byte("\n"))
		name, _, _ := bytes.Cut(line, []byte(" "))
		names, rest = append(names, string(name)), behind
	}
	return names
}

// deletes tells whether a transaction deletes chains.
func deletes(transaction []byte) bool { return bytes.Contains(transaction, []byte("\n-X ")) }

// holdsChains tells whether some own chains are in the kernel as they are wanted, and
// every jump is.
func (k Kernel) holdsChains(ctx context.Context, family rules.Family, chains []string, want ownedState) bool {
	saved, err := k.readChains(ctx, family, want.name, chains)
	if err != nil {
		return false
	}
	held := stateOfSaved(saved)
	for _, name := range chains {
		if lines, found := held.chains[name]; !found || lines != want.chains[name] {
			return false
		}
	}
	for _, name := range want.name.BuiltIn() {
		if !slices.Equal(held.jumps[name], want.jumps[name]) {
			return false
		}
	}
	return true
}

// readChains returns some chains of a table, all of which must be there, and the built-in
// ones. One iptables-restore lists them all, and changes nothing. Only the legacy variant lists
// counters, too: a transaction of its has to give those of policies, see send.
func (k Kernel) readChains(ctx context.Context, family rules.Family, table rules.TableName, chains []string) (rules.Saved, error) {
	path, err := k.program(ctx, family, "restore")
	if err != nil {
		return rules.Saved{}, err
	}
	list, form := "-S %s\n", savedLine
	if k.Variant == rules.Legacy {
		list, form = "-v "+list, countedLine
	}
	question := begin(table)
	for _, name := range slices.Concat(table.BuiltIn(), chains) {
		question = fmt.Appendf(question, list, name)
	}
	answer, err := k.list(ctx, path, append(question, "COMMIT\n"...))
	if err != nil {
		return rules.Saved{}, err
	}
	return rules.ParseSaved(table, savedForm(table, string(answer), form))
}
