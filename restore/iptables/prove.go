package iptables

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"natspread/internal/rules"
)

// Prove loads a table for real into network namespaces that end with the proof, with
// the programs that will load it into the live one, and compares what they read back.
// Exit codes prove nothing: an empty file restores with 0, and so do rules that the
// kernel never heard of under --test.
func (k Kernel) Prove(ctx context.Context, table rules.Table) error {
	return k.proveParts(ctx, parts(rules.Table{}, table))
}

// ProveAll proves all tables.
func (k Kernel) ProveAll(ctx context.Context, tables rules.Tables) error {
	return k.ProveChange(ctx, rules.NoTables(), tables)
}

// ProveChange proves of all tables those chains that are not the same in
// tables that were proven before, each with all that leads to it: what the kernel makes
// of a chain hangs on nothing else.
func (k Kernel) ProveChange(ctx context.Context, proven, tables rules.Tables) error {
	var all []rules.Table
	before := proven.All()
	for i, table := range tables.All() {
		all = append(all, parts(before[i], table)...)
	}
	return k.proveParts(ctx, all)
}

// changed returns the places of those chains of a table that another does not hold, or
// holds with other rules, chains of one way together.
func (p paths) changed(before rules.Table) []int {
	return slices.DeleteFunc(p.inOrder(), func(i int) bool {
		held, found := before.Chain(p.table.Chains[i].Name)
		return found && held.Equal(p.table.Chains[i])
	})
}

// proofRules is about how many rules are worth a namespace of their own.
const proofRules = 5000

// parts returns excerpts of a table that together hold the chains that another does not hold: one,
// or for many rules as many as there are processors, since one load keeps one processor busy.
func parts(before, table rules.Table) []rules.Table {
	paths := pathsOf(table)
	places, list := paths.changed(before), 0
	for _, i := range places {
		list += len(table.Chains[i].Rules)
	}
	count := max(1, min(list/proofRules, runtime.GOMAXPROCS(0)))
	var excerpts []rules.Table
	start, held := 0, 0
	for n, i := range places {
		held += len(table.Chains[i].Rules)
		if n == len(places)-1 || held*count >= list*(len(excerpts)+1) && len(excerpts) < count-1 {
			excerpts = append(excerpts, paths.excerpt(places[start:n+1]))
			start = n + 1
		}
	}
	return excerpts
}

// proveParts proves tables, each in a namespace of its own, all at the same time.
func (k Kernel) proveParts(ctx context.Context, tables []rules.Table) error {
	failed := make([]error, len(tables))
	var all sync.WaitGroup
	for i, table := range tables {
		all.Go(func() { failed[i] = k.prove(ctx, table) })
	}
	all.Wait()
	for i, err := range failed {
		if err != nil {
			err = k.withCause(ctx, tables[i], err)
			return fmt.Errorf("cannot prove the %s rules in a scratch namespace: %w", tables[i].String(), err)
		}
	}
	return nil
}

// prove proves one table in a namespace that nothing else uses. So its programs need not take the
// lock of iptables that all share: with that lock, proofs of the legacy variant would wait for one
// another.
func (k Kernel) prove(ctx context.Context, table rules.Table) error {
	if table.Empty() {
		return nil
	}
	ctx, done := k.withOwnLock(ctx)
	defer done()
	want := stateOf(table, 1)
	return inScratchNamespace(func() error {
		if err := k.restore(ctx, table.Family, transaction(ownedState{}, want)); err != nil {
			return err
		}
		saved, same, err := k.saveAs(ctx, table, want)
		if err != nil || same {
			return err
		}
		return Compare(saved, table)
	})
}

// errNotInSync says that the kernel holds something else than it was given.
var errNotInSync = errors.New("the kernel does not hold what it was given")

// Compare reads natspread's part of a live table back against what it should be, and
// says what differs.
func Compare(saved rules.Saved, table rules.Table) error {
	if differences := Differences(saved, table); len(differences) != 0 {
		return fmt.Errorf("%w: %s", errNotInSync, differences[0])
	}
	return nil
}

// LoadNew loads tables into the network namespace of the calling thread, which must be a new one
// that nothing else uses: so it takes no lock that others take.
func (k Kernel) LoadNew(ctx context.Context, tables rules.Tables) error {
	ctx, done := k.withOwnLock(ctx)
	defer done()
	k.Counting = nil
	observed, err := k.Snapshots(ctx, tables)
	if err != nil {
		return err
	}
	_, err = k.Load(ctx, observed, tables)
	for _, table := range tables.All() {
		if named := k.withCause(ctx, table, err); named != err {
			return named
		}
	}
	return err
}
