package iptables

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"natspread/internal/rules"
	"natspread/restore/nftables"
)

// Patch is a change of some of natspread's chains. It leaves all other chains as they are, also
// those that somebody edited, and every jump.
type Patch struct {
	Standing rules.Tables // what the kernel was given before
	Wanted   rules.Tables
	// Chains are those in which both differ, by name, for each table in the order of
	// rules.Tables.All.
	Chains [rules.TableCount][]string
	// All says that nobody knows what the kernel was given: every chain of natspread's is
	// brought in sync.
	All bool
	// Ruleset is the number of nftables' ruleset, if Standing was read in this very ruleset:
	// then nothing has to be read. Else it is 0.
	Ruleset uint32
}

// ErrNotLoaded says that no packet meets what a patch would change.
var ErrNotLoaded = errors.New("nothing of natspread's is loaded")

// Patch loads a patch in one transaction for each table, and reads its chains back. A table
// that no jump of natspread's leads to is left alone: somebody took it out. When one table
// fails all are reverted, and the error says what became of the kernel.
func (k Kernel) Patch(ctx context.Context, p Patch) (Loaded, error) {
	parts, err := k.partsOf(ctx, p)
	if err != nil {
		return Loaded{}, fmt.Errorf("%w; nothing was changed", err)
	}
	result := Loaded{Ruleset: p.Ruleset, Revert: func(ctx context.Context) error {
		for _, part := range slices.Backward(parts) {
			if err := k.revertPart(ctx, part); err != nil {
				return fmt.Errorf("and the %s rules could not be reverted: %w", part.table.String(), err)
			}
		}
		return nil
	}}
	for i := range parts {
		if err := k.loadPart(ctx, &parts[i]); err != nil {
			return Loaded{}, Revert(ctx, err, result.Revert)
		}
		if parts[i].sent {
			result.Changed = true
			result.Ruleset = heldStill(result.Ruleset, k.RulesetID())
		}
	}
	return result, nil
}

// part is what a patch changes in one table.
type part struct {
	table  rules.Table // as it is wanted
	names  []string    // of the chains that may change
	before Snapshot    // these chains, as the kernel holds them
	want   ownedState  // these chains, as they are wanted
	sent   bool        // the kernel was given something
}

// partsOf reads what a patch may change.
func (k Kernel) partsOf(ctx context.Context, p Patch) (parts []part, err error) {
	standing, skipped := p.Standing.All(), false
	for i, table := range p.Wanted.All() {
		if !p.All && len(p.Chains[i]) == 0 {
			continue
		}
		one := part{table: table, names: p.Chains[i]}
		held := stateOf(withOnly(standing[i], one.names), 1)
		switch {
		case p.All:
			if one.before, err = k.snapshot(ctx, table); err == nil {
				one.names = ownNames(one.before.saved, table)
			}
		case p.Ruleset != 0:
			one.before = Snapshot{ownedState: held, ruleset: p.Ruleset}
		default:
			one.before, err = k.snapshotOf(ctx, standing[i], held.order)
		}
		if err != nil {
			return nil, err
		}
		if one.before.ruleset == 0 && !HasJump(one.before.saved) {
			skipped = skipped || !table.Empty()
			continue
		}
		one.before.ownedState = one.before.only(one.names)
		one.want = stateOf(withOnly(table, one.names), 1).only(one.names)
		parts = append(parts, one)
	}
	if skipped && len(parts) == 0 {
		return nil, ErrNotLoaded
	}
	return parts, nil
}

// withOnly returns a table with those of its chains that are named.
func withOnly(table rules.Table, names []string) rules.Table {
	part := table
	part.Chains = nil
	for _, name := range names {
		if chain, found := table.Chain(name); found {
			part.Chains = append(part.Chains, chain)
		}
	}
	return part
}

// ownNames returns the names of all of natspread's chains in a live table and a wanted one.
func ownNames(saved rules.Saved, table rules.Table) []string {
	names := namesOf(saved.OwnChains())
	for _, chain := range table.Chains {
		names = append(names, chain.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// only returns the part of a state that is named, without jumps.
func (s ownedState) only(names []string) ownedState {
	part := newState(s.name, len(names))
	for _, name := range names {
		if lines, held := s.chains[name]; held {
			part.add(name, lines)
		}
	}
	return part
}

// snapshotOf reads some chains of a live table, and the built-in ones: alone where they are
// few and all there, else with the whole table.
func (k Kernel) snapshotOf(ctx context.Context, table rules.Table, names []string) (Snapshot, error) {
	if len(names) <= few && k.mayHold(table.Family, table.Name) {
		if saved, err := k.readChains(ctx, table.Family, table.Name, names); err == nil {
			return Snapshot{ownedState: stateOfSaved(saved), saved: saved}, nil
		}
	}
	read, err := k.snapshot(ctx, table)
	read.ruleset = 0 // of chains that nobody compared
	return read, err
}

// loadPart loads what changes in one table and reads it back. The kernel says whether it is
// loaded: a program that was killed may have done its work before it failed.
func (k Kernel) loadPart(ctx context.Context, p *part) error {
	text := transaction(p.before.ownedState, p.want)
	if text == nil {
		return nil
	}
	p.sent = true
	sent := k.sendCounted(ctx, p.table, p.before, text)
	if err := k.holdsPart(ctx, *p, p.want); err != nil {
		if sent != nil {
			err = sent
		}
		return fmt.Errorf("cannot load the %s rules: %w", p.table.String(), err)
	}
	return nil
}

// holdsPart is an error unless the kernel holds the chains of a part as a state has them.
func (k Kernel) holdsPart(ctx context.Context, p part, want ownedState) error {
	now, err := k.snapshotOf(ctx, p.table, want.order)
	if err == nil && len(want.order) < len(p.names) && !k.areGone(p.table, want, p.names) {
		now, err = k.snapshot(ctx, p.table)
	}
	if err == nil && transaction(now.only(p.names), want) != nil {
		err = errNotInSync
	}
	return err
}

// areGone tells whether the kernel is known to have none of the named chains but those that
// are wanted. A list of some chains cannot tell; by nft the kernel itself does.
func (k Kernel) areGone(table rules.Table, want ownedState, names []string) bool {
	if k.Variant != rules.NFT {
		return false
	}
	for _, name := range names {
		if _, wanted := want.chains[name]; wanted {
			continue
		}
		if held, err := nftables.HasChain(table.Family, table.Name, name); err != nil || held {
			return false
		}
	}
	return true
}

// revertPart sets the chains of a part to what they were before. Whether they are, the kernel
// says and not the program. If nftables' ruleset still has its number, nothing was changed.
func (k Kernel) revertPart(ctx context.Context, p part) error {
	if !p.sent || p.before.ruleset != 0 && p.before.ruleset == k.RulesetID() {
		return nil
	}
	now, err := k.snapshot(ctx, p.table)
	if err != nil {
		return err
	}
	text := transaction(now.only(p.names), p.before.ownedState)
	if text == nil {
		return nil
	}
	sent := k.send(ctx, p.table, now.saved, text)
	if err := k.holdsPart(ctx, p, p.before.ownedState); err != nil {
		return errors.Join(err, sent)
	}
	return nil
}
