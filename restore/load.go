package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"natspread/nat"
)

// loadTries bounds how often a load is tried anew when somebody else changes the
// table between our reading it and our transaction, which then fails as a whole.
const loadTries = 3

// change is one family's part of a load: what stood there before, for undo.
type change struct {
	before nat.Saved
	loaded bool // the kernel was given something
}

// load brings natspread's part of a family's live table to what is wanted, in one
// transaction that touches nothing else, and reads it back. The change that it
// returns is to be undone also when it fails: a program that was killed may have
// done its work before.
func (k Kernel) load(ctx context.Context, table nat.Table) (done change, err error) {
	for try := 1; ; try++ {
		now, err := k.Read(ctx, table)
		if err != nil {
			return done, err
		}
		text := transaction(layoutOfSaved(now), layoutOf(table))
		if text == nil && try > 1 {
			return done, nil // the program that failed had done its work
		}
		done.before = now
		if text == nil {
			return done, nil
		}
		done.loaded = true
		if err = k.send(ctx, table.Family, now, text); err == nil {
			break
		}
		if try == loadTries || !k.changedSince(ctx, table.Family, done.before) {
			return done, fmt.Errorf("cannot load the %v rules: %w%s", table.Family, err, heldBy(done.before, table))
		}
	}
	after, err := k.Save(ctx, table.Family)
	if err == nil {
		err = compare(after, table)
	}
	if err != nil {
		return done, fmt.Errorf("cannot read the %v rules back: %w", table.Family, err)
	}
	return done, nil
}

// many is from how many declared chains on iptables-nft-restore is given listAll.
const many = 500

// listAll lists the table that the transaction is for. It is there for what comes with
// it: for a command without a chain iptables-nft-restore reads all chains of the kernel
// at once; else it notes each that a line names in a sorted list that it goes through
// anew for each line, which takes most of the time where there are thousands
// (nft_cache_level_set of iptables 1.8).
const listAll = "-S\n"

// send hands a transaction to the kernel, which holds now what was saved. The legacy
// variant sets the counters of all policies to zero in every change that does not
// give them, even in iptables -A, so it is given them.
func (k Kernel) send(ctx context.Context, family nat.Family, now nat.Saved, transaction []byte) error {
	text := []byte(begin)
	rest := transaction[len(begin):]
	if k.Variant != Legacy {
		if bytes.Count(rest, []byte("\n:")) >= many {
			text = append(text, listAll...)
		}
		return k.restore(ctx, family, append(text, rest...), "--noflush")
	}
	for _, chain := range now.Chains {
		if slices.Contains(nat.BuiltIn(), chain.Name) {
			text = fmt.Appendf(text, ":%s %s %s\n", chain.Name, chain.Policy, chain.Counters)
		}
	}
	return k.restore(ctx, family, append(text, rest...), "--noflush", "-c")
}

// heldBy names the first foreign rule that leads to a chain of ours that is to go,
// which the kernel then refuses to delete; "" when there is none.
func heldBy(before nat.Saved, table nat.Table) string {
	for _, chain := range before.Chains {
		if nat.IsOwn(chain.Name) || slices.Contains(nat.BuiltIn(), chain.Name) {
			continue
		}
		for _, rule := range chain.Rules {
			target := rule.JumpsTo()
			if _, stays := table.Chain(target); nat.IsOwn(target) && !stays {
				return fmt.Sprintf(": a rule that is not natspread's holds chain %s: iptables -t nat -D %s %s", target, chain.Name, rule.Text)
			}
		}
	}
	return ""
}

// changedSince tells whether somebody changed the layout of natspread's part since
// it was read, which is the one reason to try a transaction again.
func (k Kernel) changedSince(ctx context.Context, family nat.Family, before nat.Saved) bool {
	now, err := k.Save(ctx, family)
	return err == nil && transaction(layoutOfSaved(before), layoutOfSaved(now)) != nil
}

// undo puts natspread's part of a family's table back to what it was. Whether it
// is so, the kernel says and not the program.
func (k Kernel) undo(ctx context.Context, family nat.Family, done change) error {
	if !done.loaded {
		return nil
	}
	now, err := k.Save(ctx, family)
	if err != nil {
		return err
	}
	text := transaction(layoutOfSaved(now), layoutOfSaved(done.before))
	if text == nil {
		return nil
	}
	sent := k.send(ctx, family, now, text)
	if now, err = k.Save(ctx, family); err != nil {
		return errors.Join(sent, err)
	}
	if transaction(layoutOfSaved(now), layoutOfSaved(done.before)) == nil {
		return nil
	}
	return errors.Join(errNotInStep, sent)
}

// Tables are natspread's parts of both families' nat tables.
type Tables struct{ IPv4, IPv6 nat.Table }

// noTables returns the tables that hold nothing of natspread's.
func noTables() Tables {
	return Tables{IPv4: nat.Table{Family: nat.IPv4}, IPv6: nat.Table{Family: nat.IPv6}}
}

// Of returns the table of a family.
func (t Tables) Of(family nat.Family) nat.Table {
	if family == nat.IPv6 {
		return t.IPv6
	}
	return t.IPv4
}

// loadAll loads both families. When one fails the other is put back too, and the
// error says what became of the kernel.
func (k Kernel) loadAll(ctx context.Context, tables Tables) (undo func(context.Context) error, changed bool, err error) {
	var done [2]change
	undo = func(ctx context.Context) error {
		for _, family := range nat.Families() {
			if err := k.undo(ctx, family, done[family]); err != nil {
				return fmt.Errorf("and the %v rules could not be put back: %w", family, err)
			}
		}
		return nil
	}
	for _, family := range nat.Families() {
		done[family], err = k.load(ctx, tables.Of(family))
		if err != nil {
			return nil, false, joinUndo(ctx, err, undo)
		}
		changed = changed || done[family].loaded
	}
	return undo, changed, nil
}

// joinUndo undoes what was done before an error and adds the outcome to it.
func joinUndo(ctx context.Context, err error, undo func(context.Context) error) error {
	if failed := undo(context.WithoutCancel(ctx)); failed != nil {
		return fmt.Errorf("%w; %w", err, failed)
	}
	return fmt.Errorf("%w; nothing was changed", err)
}
