package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/nftables"
)

// loadTries bounds how often a load is tried anew when somebody else changes the
// table between our reading it and our transaction, which then fails as a whole.
const loadTries = 3

// Snapshot is natspread's part of a live table as it was read, and what is known beside it.
type Snapshot struct {
	ownedState
	saved   rules.Saved   // the whole table; empty when the state is known without reading it
	whole   []byte        // the same as iptables-save -c printed it, if all of it is to be replaced; else nil
	ruleset uint32        // the number of nftables' ruleset in which it was so; 0 is unknown
	listed  []rules.Taken // rules of others that the load takes out, by their places in the whole chain
	taken   []rules.Taken // the same as they stand there
}

// Snapshots are those of all tables, in the order of rules.Tables.All.
type Snapshots [rules.TableCount]Snapshot

// SnapshotsOf returns what a read of the live tables gives that hold just these, each jump in
// its place, in nftables' ruleset of that number. Only where the jumps in FORWARD stand is not
// known, or where they belong, as a route may have changed: what is there is read.
func (k Kernel) SnapshotsOf(ctx context.Context, tables rules.Tables, ruleset uint32) (known Snapshots, err error) {
	for i, table := range tables.All() {
		known[i] = Snapshot{ownedState: stateOf(table, 1), ruleset: ruleset}
		if table.Name == rules.NAT || table.Empty() {
			continue
		}
		if known[i], err = k.snapshot(ctx, table); err != nil {
			return known, err
		}
	}
	return known, nil
}

// Hold tells whether a load of the tables would change nothing: also that each jump is in
// its place among foreign rules.
func (s Snapshots) Hold(tables rules.Tables) bool {
	for i, table := range tables.All() {
		if transaction(s[i].ownedState, s[i].wanted(table)) != nil {
			return false
		}
	}
	return true
}

// wanted returns the state that a table wants where this was read. What was known without
// reading it held what it wanted in its place.
func (s Snapshot) wanted(table rules.Table) ownedState {
	if len(s.saved.Chains) == 0 {
		return stateOf(table, 1)
	}
	return stateOf(table, forwardPlace(s.saved, table))
}

// Whole returns a table that is to be replaced as a whole, as iptables-save -c printed it;
// nil where only natspread's part is.
func (s Snapshot) Whole() []byte { return s.whole }

// snapshot reads a live table.
func (k Kernel) snapshot(ctx context.Context, table rules.Table) (Snapshot, error) {
	before := k.RulesetID()
	saved, err := k.Read(ctx, table)
	read := Snapshot{ownedState: stateOfSaved(saved), saved: saved}
	if before == k.RulesetID() {
		read.ruleset = before
	}
	return read, err
}

// RulesetID returns the number of nftables' ruleset, 0 where that tells nothing.
func (k Kernel) RulesetID() uint32 {
	if k.Variant != rules.NFT {
		return 0
	}
	id, err := nftables.RulesetID()
	if err != nil {
		return 0
	}
	return id
}

// change is one table's part of a load: what stood there before, for revert, and the
// number of the ruleset in which it was read back, 0 when that is not known.
type change struct {
	before  Snapshot
	loaded  bool // the kernel was given something
	ruleset uint32
}

// load brings natspread's part of a live table from what was read there to what
// is wanted, in one transaction that touches nothing else, and reads it back. The change
// that it returns is to be reverted also when it fails: a program that was killed may have
// done its work before. If it is refused although the table is as it was read, the jumps
// are taken out by their places.
func (k Kernel) load(ctx context.Context, observed Snapshot, table rules.Table) (done change, err error) {
	if observed.whole != nil {
		return k.replace(ctx, observed, table)
	}
	if unread := len(observed.saved.Chains) == 0; unread && table.Name != rules.NAT && transaction(observed.ownedState, stateOf(table, 1)) != nil {
		if observed, err = k.snapshot(ctx, table); err != nil { // for the place in FORWARD
			return done, err
		}
	}
	byPlace := false
	for try := 1; ; try++ {
		want := observed.wanted(table)
		text := transaction(observed.ownedState, want)
		if byPlace {
			text = transactionByPlace(observed.ownedState, want)
		}
		text = withTaken(text, table.Name, observed.taken)
		if text == nil && try > 1 {
			return done, nil // the program that failed had done its work
		}
		done.before, done.ruleset = observed, observed.ruleset
		if text == nil {
			return done, nil
		}
		done.loaded = true
		if err = k.sendCounted(ctx, table, observed, text); err == nil {
			if done.ruleset, err = k.readBack(ctx, observed.ruleset, text, table, want); err == nil && observed.taken != nil {
				err = k.tookOut(ctx, table, observed)
			}
			return done, err
		}
		now, readErr := k.snapshot(ctx, table)
		if readErr == nil && observed.taken != nil {
			if gone := now.takeOut(observed.listed); gone != nil { // or the program that failed had done its work
				return done, errors.Join(err, gone)
			}
		}
		same := transaction(observed.ownedState, now.ownedState) == nil && transaction(want, now.wanted(table)) == nil
		byPlace = same && !byPlace && takesOut(text) && isRefusal(err)
		if try == loadTries || readErr != nil || same && !byPlace {
			return done, fmt.Errorf("cannot load the %s rules: %w%s", table.String(), k.withCause(ctx, table, err), k.heldBy(now.saved, table))
		}
		observed = now
	}
}

// takesOut tells whether a transaction deletes rules of built-in chains.
func takesOut(transaction []byte) bool { return bytes.Contains(transaction, []byte("\n-D ")) }

// isRefusal tells whether iptables-restore itself found that it cannot do what it was given.
func isRefusal(err error) bool {
	var failed *program.Error
	return errors.As(err, &failed) && failed.Code > 0 && !errors.Is(err, program.ErrBusy) && !errors.Is(err, program.ErrNoRights)
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
// not give them, even in iptables -A, so it is given them: but where people set policies to
// DROP, as in the filter table, one that is set at this moment counts for more than its counter.
func (k Kernel) send(ctx context.Context, table rules.Table, now rules.Saved, transaction []byte) error {
	text := begin(table.Name)
	rest := transaction[len(text):]
	switch {
	case table.Name != rules.NAT:
		return k.restore(ctx, table.Family, transaction, "--noflush")
	case k.Variant == rules.Legacy:
		return k.restore(ctx, table.Family, slices.Concat(text, policies(now), rest), "--noflush", "-c")
	case len(declaredIn(transaction)) < many:
		return k.restore(ctx, table.Family, transaction, "--noflush")
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
				iptables := rules.Program(table.Family, k.Variant, "")
				return fmt.Sprintf(": a rule that is not natspread's holds chain %s: %s -t %v -D %s %s", target, iptables, before.Name, chain.Name, rule.Text)
			}
		}
	}
	return ""
}

// revert sets natspread's part of a table to what it was before a change. Whether it is
// so, the kernel says and not the program. A jump that cannot be deleted by its text is
// deleted by its place.
func (k Kernel) revert(ctx context.Context, table rules.Table, done change) error {
	switch {
	case !done.loaded:
		return nil
	case done.before.whole != nil:
		return k.revertWhole(ctx, table, done.before)
	case len(done.before.order) == 0 && !k.mayHold(table.Family, table.Name):
		return nil // there is no table still
	}
	now, err := k.Save(ctx, table)
	if err != nil {
		return err
	}
	var sent error
	for _, lead := range []func(live, want ownedState) []byte{transaction, transactionByPlace} {
		text := spliced(lead(stateOfSaved(now), done.before.ownedState), table.Name, putBack(now, done.before.jumps, done.before.taken))
		if text == nil {
			return nil
		}
		sent = k.send(ctx, table, now, text)
		if now, err = k.Save(ctx, table); err != nil {
			return errors.Join(sent, err)
		}
		if transaction(stateOfSaved(now), done.before.ownedState) == nil && putBack(now, done.before.jumps, done.before.taken) == nil {
			return nil
		}
		if !isRefusal(sent) {
			break
		}
	}
	return errors.Join(errNotInSync, sent)
}

// Loaded is what became of a load of all tables.
type Loaded struct {
	Changed bool                        // the kernel was given something
	Ruleset uint32                      // the number of nftables' ruleset that holds it all; 0 is unknown
	Revert  func(context.Context) error // loads what stood there before
}

// Snapshots reads all live tables.
func (k Kernel) Snapshots(ctx context.Context, tables rules.Tables) (read Snapshots, err error) {
	for i, table := range tables.All() {
		if read[i], err = k.snapshot(ctx, table); err != nil {
			return read, err
		}
	}
	return read, nil
}

// Load brings natspread's part of all live tables from what was read there to what is
// wanted. When one table fails the others are reverted too, and the error says what became
// of the kernel.
func (k Kernel) Load(ctx context.Context, observed Snapshots, tables rules.Tables) (Loaded, error) {
	all, order := tables.All(), tables.Order()
	var done [rules.TableCount]change
	result := Loaded{Ruleset: commonRuleset(observed), Revert: func(ctx context.Context) error {
		for _, i := range slices.Backward(order) {
			if err := k.revert(ctx, all[i], done[i]); err != nil {
				return fmt.Errorf("and the %s rules could not be reverted: %w", all[i].String(), err)
			}
		}
		return nil
	}}
	for _, i := range order {
		if result.Ruleset != 0 {
			observed[i].ruleset = result.Ruleset // what was changed since it was read, we did, and not here
		}
		var err error
		if done[i], err = k.load(ctx, observed[i], all[i]); err != nil {
			return Loaded{}, Revert(ctx, err, result.Revert)
		}
		if done[i].loaded {
			result.Changed = true
			result.Ruleset = heldStill(result.Ruleset, done[i].ruleset)
		}
	}
	return result, nil
}

// commonRuleset returns the number of the ruleset in which all tables were read, 0 when
// it was not the same.
func commonRuleset(observed Snapshots) uint32 {
	for _, one := range observed {
		if one.ruleset != observed[0].ruleset {
			return 0
		}
	}
	return observed[0].ruleset
}

// heldStill returns the number of the ruleset in which a table was read back, if only
// our one transaction led there from the one before; else what was read of other tables
// may be gone.
func heldStill(before, after uint32) uint32 {
	if before == 0 || after != before+1 {
		return 0
	}
	return after
}

// Revert reverts what was done before an error, whatever became of the context, and adds
// the outcome to the error.
func Revert(ctx context.Context, err error, revert func(context.Context) error) error {
	if failed := revert(context.WithoutCancel(ctx)); failed != nil {
		return fmt.Errorf("%w; %w", err, &NotRevertedError{failed})
	}
	return fmt.Errorf("%w; nothing was changed", err)
}

// NotRevertedError says why what was done before an error is still done.
type NotRevertedError struct{ Err error }

// Error returns the words of the error inside.
func (e *NotRevertedError) Error() string { return e.Err.Error() }

// Unwrap returns the error inside.
func (e *NotRevertedError) Unwrap() error { return e.Err }

// Clear takes natspread's rules out of the variant's tables, where nothing of them is
// wanted. What the host has no programs for, or this process no rights to read, holds nothing
// of natspread's.
func (k Kernel) Clear(ctx context.Context) (cleared bool, err error) {
	for _, nothing := range rules.NoTables().All() {
		held, err := k.holdsOwn(ctx, nothing)
		if err == nil && !held || errors.Is(err, program.ErrMissing) || errors.Is(err, program.ErrNoRights) {
			continue
		}
		var observed Snapshot
		if err == nil {
			observed, err = k.snapshot(ctx, nothing)
		}
		if err == nil {
			_, err = k.load(ctx, observed, nothing)
		}
		if err != nil {
			return cleared, fmt.Errorf("cannot take the rules out of the %s variant: %w", k.Variant, err)
		}
		cleared = true
	}
	return cleared, nil
}

// holdsOwn tells whether a live table has anything of natspread's, where nothing of it
// is wanted. By nft the kernel says whether there is a chain: others' tables need not be
// ones that iptables can read, and a kernel without nftables has none. Without a chain no
// jump can be left.
func (k Kernel) holdsOwn(ctx context.Context, nothing rules.Table) (bool, error) {
	if k.Variant == rules.NFT {
		names, err := nftables.OwnChains(nothing.Family, nothing.Name)
		if nftables.IsMissing(err) {
			return false, nil
		}
		return len(names) > 0, err
	}
	saved, err := k.Read(ctx, nothing)
	if err != nil {
		return false, err
	}
	return len(Differences(saved, nothing)) != 0, nil
}
