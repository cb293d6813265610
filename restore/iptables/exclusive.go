package iptables

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"natspread/internal/rules"
)

// Foreign is what stands in the nat tables beside natspread's part, by family: a line
// each in the words of iptables -S, such as "-P INPUT DROP", "-N DOCKER" and
// "-A DOCKER -i docker0 -j RETURN", without counters.
type Foreign [2][]string

// Len returns the number of lines of both families.
func (f Foreign) Len() int { return len(f[rules.IPv4]) + len(f[rules.IPv6]) }

// Lines returns the lines of both families, each behind the name of its own.
func (f Foreign) Lines() []string {
	var lines []string
	for _, family := range rules.Families() {
		for _, line := range f[family] {
			lines = append(lines, fmt.Sprintf("%v: %s", family, line))
		}
	}
	return lines
}

// errForeignChanged says that more, or less, would vanish than was agreed to.
var errForeignChanged = errors.New("other rules in the nat table have changed since they were listed: natspread apply --exclusive lists them anew")

// Foreign returns all that is not natspread's in the nat table of each family for which
// there are rules. It is an error where that could not be loaded again as it is.
func (k Kernel) Foreign(ctx context.Context, tables rules.Tables) (foreign Foreign, err error) {
	for _, family := range rules.Families() {
		if tables.Of(family).Empty() {
			continue
		}
		saved, err := k.Read(ctx, tables.Of(family))
		if err == nil && len(foreignLines(saved)) > 0 {
			_, err = k.readWhole(ctx, tables.Of(family))
		}
		if err != nil {
			return Foreign{}, err
		}
		foreign[family] = foreignLines(saved)
	}
	return foreign, nil
}

// foreignLines returns what of a table is not natspread's: policies that are not
// ACCEPT, chains, and rules.
func foreignLines(saved rules.Saved) []string {
	var chains, list []string
	for _, chain := range saved.Chains {
		builtIn := slices.Contains(saved.Name.BuiltIn(), chain.Name)
		switch {
		case rules.IsOwn(chain.Name):
			continue
		case !builtIn:
			chains = append(chains, "-N "+chain.Name)
		case chain.Policy != "ACCEPT":
			chains = append(chains, "-P "+chain.Name+" "+chain.Policy)
		}
		for _, rule := range chain.Rules {
			if !builtIn || !rules.IsOwn(rule.JumpsTo()) {
				list = append(list, "-A "+chain.Name+" "+rule.Text)
			}
		}
	}
	return append(chains, list...)
}

// SnapshotsWhole is Snapshots for nat tables that are to be replaced as a whole, if they
// still hold what was agreed to. A table without anything foreign is loaded like any other, so
// that the counters of chains that stay the same go on.
func (k Kernel) SnapshotsWhole(ctx context.Context, agreed Foreign, tables rules.Tables) (observed Snapshots, err error) {
	if observed, err = k.Snapshots(ctx, tables); err != nil {
		return observed, err
	}
	for _, family := range rules.Families() {
		if tables.Of(family).Empty() {
			continue
		}
		if len(foreignLines(observed[family].saved)) > 0 {
			if observed[family], err = k.readWhole(ctx, tables.Of(family)); err != nil {
				return observed, err
			}
		}
		if !slices.Equal(foreignLines(observed[family].saved), agreed[family]) {
			return observed, errForeignChanged
		}
	}
	return observed, nil
}

// readWhole reads a live table that is to be replaced, if all of it is shown.
func (k Kernel) readWhole(ctx context.Context, table rules.Table) (Snapshot, error) {
	text, saved, err := k.save(ctx, table)
	if err == nil {
		err = k.shownWhole(ctx, table.Family, text, saved)
	}
	if err != nil {
		return Snapshot{}, err
	}
	return Snapshot{ownedState: stateOfSaved(saved), saved: saved, whole: text}, nil
}

// replace puts a table in the place of everything that stands in a family's live one, in
// one transaction, and reads it back. What others change after the listing SnapshotsWhole sees,
// except in the instant between it and this: a whole table has no transaction with a
// condition.
func (k Kernel) replace(ctx context.Context, observed Snapshot, table rules.Table) (change, error) {
	done := change{before: observed, loaded: true}
	if err := k.restore(ctx, table.Family, table.Text()); err != nil {
		return done, fmt.Errorf("cannot replace the %v nat table: %w", table.Family, err)
	}
	ruleset := k.RulesetID()
	saved, err := k.Save(ctx, table)
	if err == nil {
		err = Compare(saved, table)
	}
	if left := foreignLines(saved); err == nil && len(left) > 0 {
		err = fmt.Errorf("%w: it still holds %s", errNotInSync, left[0])
	}
	if err != nil {
		return done, fmt.Errorf("cannot read the %v nat table back: %w", table.Family, err)
	}
	if ruleset == k.RulesetID() {
		done.ruleset = ruleset
	}
	return done, nil
}

// revertWhole loads a whole table again, with its counters: ip6tables-nft-restore of iptables
// 1.8.9 takes those of policies only. Whether it is so, the kernel says and not the program.
func (k Kernel) revertWhole(ctx context.Context, table rules.Table, before Snapshot) error {
	sent := k.restore(ctx, table.Family, before.whole, "-c")
	now, err := k.Save(ctx, table)
	if err != nil {
		return errors.Join(sent, err)
	}
	if slices.Equal(foreignLines(now), foreignLines(before.saved)) && transaction(stateOfSaved(now), before.ownedState) == nil {
		return nil
	}
	return errors.Join(errNotInSync, sent)
}
