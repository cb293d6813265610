package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"natspread/internal/rules"
)

// loadTries bounds how often a load is tried anew when somebody else changes the
// table between our reading it and our transaction, which then fails as a whole.
const loadTries = 3

// live is natspread's part of a live table, and what is known beside it.
type live struct {
	layout
	saved   rules.Saved // the whole table; empty when the layout is known without reading it
	whole   []byte      // the same as iptables-save -c printed it, if all of it is to be replaced; else nil
	ruleset uint32      // the number of nftables' ruleset in which it was so; 0 is unknown
}

// look reads a live table.
func (k Kernel) look(ctx context.Context, table rules.Table) (live, error) {
	before := k.rulesetID()
	saved, err := k.Read(ctx, table)
	seen := live{layout: layoutOfSaved(saved), saved: saved}
	if before == k.rulesetID() {
		seen.ruleset = before
	}
	return seen, err
}

// rulesetID returns the number of nftables' ruleset, 0 where that tells nothing.
func (k Kernel) rulesetID() uint32 {
	if k.Variant != NFT {
		return 0
	}
	id, err := rulesetID()
	if err != nil {
		return 0
	}
	return id
}

// change is one table's part of a load: what stood there before, for undo, and the
// number of the ruleset in which it was read back, 0 when that is not known.
type change struct {
	before  live
	loaded  bool // the kernel was given something
	ruleset uint32
}

// load brings natspread's part of a live table from what was seen there to what
// is wanted, in one transaction that touches nothing else, and reads it back. The change
// that it returns is to be undone also when it fails: a program that was killed may have
// done its work before.
func (k Kernel) load(ctx context.Context, seen live, table rules.Table) (done change, err error) {
	if seen.whole != nil {
		return k.replace(ctx, seen, table)
	}
	want := layoutOf(table)
	for try := 1; ; try++ {
		text := transaction(seen.layout, want)
		if text == nil && try > 1 {
			return done, nil // the program that failed had done its work
		}
		done.before, done.ruleset = seen, seen.ruleset
		if text == nil {
			return done, nil
		}
		done.loaded = true
		if err = k.send(ctx, table, seen.saved, text); err == nil {
			done.ruleset, err = k.readBack(ctx, seen.ruleset, text, table, want)
			return done, err
		}
		now, lookErr := k.look(ctx, table)
		if try == loadTries || lookErr != nil || transaction(seen.layout, now.layout) == nil {
			return done, fmt.Errorf("cannot load the %s rules: %w%s", table.String(), err, k.heldBy(now.saved, table))
		}
		seen = now
	}
}

// many is from how many declared chains on iptables-nft-restore is given listAll.
const many = 500

// listAll lists the table that the transaction is for. It is there for what comes with
// it: for a command without a chain iptables-nft-restore reads all chains of the kernel
// at once; else it notes each that a line names in a sorted list that it goes through
// anew for each line, which takes most of the time where there are thousands
// (nft_cache_level_set of iptables 1.8).
const listAll = "-S\n"

// send hands a transaction for a table to the kernel, which holds now what was saved.
// The legacy variant sets the counters of all policies to zero in every change that does
// not give them, even in iptables -A, so it is given them: but of the filter table a
// policy that somebody sets to DROP at this moment counts for more than its counter.
func (k Kernel) send(ctx context.Context, table rules.Table, now rules.Saved, transaction []byte) error {
	text := begin(table.Name)
	rest := transaction[len(text):]
	switch {
	case table.Name == rules.Filter:
		return k.restore(ctx, table.Family, transaction, "--noflush")
	case k.Variant == Legacy:
		return k.restore(ctx, table.Family, slices.Concat(text, policies(now), rest), "--noflush", "-c")
	case declares(transaction) < many:
		return k.restore(ctx, table.Family, transaction, "--noflush")
	}
	if len(now.Chains) == 0 { // it was known without reading it
		var err error
		if now, err = k.Read(ctx, table); err != nil {
			return err
		}
	}
	// Chains that are not there yet are not made any more once all were read.
	return k.restore(ctx, table.Family, slices.Concat(text, policies(now), []byte(listAll), rest), "--noflush")
}

// policies returns lines that leave the built-in chains of a table as they are.
func policies(now rules.Saved) []byte {
	var lines []byte
	for _, name := range now.Name.BuiltIn() {
		chain, held := now.Chain(name)
		if !held {
			chain = rules.SavedChain{Name: name, Policy: "ACCEPT", Counters: "[0:0]"}
		}
		lines = fmt.Appendf(lines, ":%s %s %s\n", chain.Name, chain.Policy, chain.Counters)
	}
	return lines
}

// heldBy names the first foreign rule that leads to a chain of ours that is to go,
// which the kernel then refuses to delete; "" when there is none.
func (k Kernel) heldBy(before rules.Saved, table rules.Table) string {
	for _, chain := range before.Chains {
		if rules.IsOwn(chain.Name) || slices.Contains(before.Name.BuiltIn(), chain.Name) {
			continue
		}
		for _, rule := range chain.Rules {
			target := rule.JumpsTo()
			if _, stays := table.Chain(target); rules.IsOwn(target) && !stays {
				iptables := strings.TrimSuffix(programName(table.Family, k.Variant, "save"), "-save")
				return fmt.Sprintf(": a rule that is not natspread's holds chain %s: %s -t %v -D %s %s", target, iptables, before.Name, chain.Name, rule.Text)
			}
		}
	}
	return ""
}

// undo puts natspread's part of a table back to what it was. Whether it is so, the
// kernel says and not the program.
func (k Kernel) undo(ctx context.Context, table rules.Table, done change) error {
	switch {
	case !done.loaded:
		return nil
	case done.before.whole != nil:
		return k.putBack(ctx, table, done.before)
	case len(done.before.order) == 0 && !k.mayHold(table.Family, table.Name):
		return nil // there is no table still
	}
	now, err := k.Save(ctx, table)
	if err != nil {
		return err
	}
	text := transaction(layoutOfSaved(now), done.before.layout)
	if text == nil {
		return nil
	}
	sent := k.send(ctx, table, now, text)
	if now, err = k.Save(ctx, table); err != nil {
		return errors.Join(sent, err)
	}
	if transaction(layoutOfSaved(now), done.before.layout) == nil {
		return nil
	}
	return errors.Join(errNotInStep, sent)
}

// loaded is what became of a load of all tables.
type loaded struct {
	changed bool                        // the kernel was given something
	ruleset uint32                      // the number of nftables' ruleset that holds it all; 0 is unknown
	undo    func(context.Context) error // puts back what stood there before
}

// lookAll reads all live tables.
func (k Kernel) lookAll(ctx context.Context, tables rules.Tables) (seen [rules.TableCount]live, err error) {
	for i, table := range tables.All() {
		if seen[i], err = k.look(ctx, table); err != nil {
			return seen, unchanged(err)
		}
	}
	return seen, nil
}

// loadAll loads all tables. When one fails the others are put back too, and the error
// says what became of the kernel.
func (k Kernel) loadAll(ctx context.Context, seen [rules.TableCount]live, tables rules.Tables) (loaded, error) {
	all, order := tables.All(), tables.Order()
	var done [rules.TableCount]change
	result := loaded{ruleset: commonRuleset(seen), undo: func(ctx context.Context) error {
		for _, i := range slices.Backward(order) {
			if err := k.undo(ctx, all[i], done[i]); err != nil {
				return fmt.Errorf("and the %s rules could not be put back: %w", all[i].String(), err)
			}
		}
		return nil
	}}
	for _, i := range order {
		if result.ruleset != 0 {
			seen[i].ruleset = result.ruleset // what was changed since it was seen, we did, and not here
		}
		var err error
		if done[i], err = k.load(ctx, seen[i], all[i]); err != nil {
			return loaded{}, joinUndo(ctx, err, result.undo)
		}
		if done[i].loaded {
			result.changed = true
			result.ruleset = heldStill(result.ruleset, done[i].ruleset)
		}
	}
	return result, nil
}

// commonRuleset returns the number of the ruleset in which all tables were seen, 0 when
// it was not the same.
func commonRuleset(seen [rules.TableCount]live) uint32 {
	for _, one := range seen {
		if one.ruleset != seen[0].ruleset {
			return 0
		}
	}
	return seen[0].ruleset
}

// heldStill returns the number of the ruleset in which a table was read back, if only
// our one transaction led there from the one before; else what was seen of other tables
// may be gone.
func heldStill(before, after uint32) uint32 {
	if before == 0 || after != before+1 {
		return 0
	}
	return after
}

// joinUndo undoes what was done before an error and adds the outcome to it.
func joinUndo(ctx context.Context, err error, undo func(context.Context) error) error {
	if failed := undo(context.WithoutCancel(ctx)); failed != nil {
		return fmt.Errorf("%w; %w", err, failed)
	}
	return fmt.Errorf("%w; nothing was changed", err)
}
