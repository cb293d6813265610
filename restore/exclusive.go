package restore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// Foreign is what stands in the nat tables beside natspread's part, by family: a line
// each in the words of iptables -S, such as "-P INPUT DROP", "-N DOCKER" and
// "-A DOCKER -i docker0 -j RETURN", without counters.
type Foreign [2][]string

// Of returns a family's lines.
func (f Foreign) Of(family rules.Family) []string { return f[family] }

// Len returns the number of lines of both families.
func (f Foreign) Len() int { return len(f[rules.IPv4]) + len(f[rules.IPv6]) }

// errForeignChanged says that more, or less, would vanish than was agreed to.
var errForeignChanged = errors.New("other rules in the nat table have changed since they were listed: natspread apply --exclusive lists them anew")

// Foreign returns what an apply of the tables with Request.Exclusive takes away: all
// that is not natspread's in the table of each family for which there are rules. The
// other family, and the other variant's tables, are left alone.
func (h Host) Foreign(ctx context.Context, tables rules.Tables) (foreign Foreign, err error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Foreign{}, unchanged(err)
	}
	for _, family := range rules.Families() {
		if tables.Of(family).Empty() {
			continue
		}
		saved, err := kernel.Read(ctx, tables.Of(family))
		if err != nil {
			return Foreign{}, unchanged(err)
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

// lookWhole is lookAll for nat tables that are to be replaced as a whole, if they still hold
// what was agreed to. A table without anything foreign is loaded like any other, so
// that the counters of chains that stay the same go on.
func (k Kernel) lookWhole(ctx context.Context, agreed Foreign, tables rules.Tables) (seen [rules.TableCount]live, err error) {
	if seen, err = k.lookAll(ctx, tables); err != nil {
		return seen, err
	}
	for _, family := range rules.Families() {
		if tables.Of(family).Empty() {
			continue
		}
		if len(foreignLines(seen[family].saved)) > 0 {
			if seen[family], err = k.readWhole(ctx, tables.Of(family)); err != nil {
				return seen, unchanged(err)
			}
		}
		if !slices.Equal(foreignLines(seen[family].saved), agreed[family]) {
			return seen, unchanged(errForeignChanged)
		}
	}
	return seen, nil
}

// readWhole reads a live table that is to be replaced.
func (k Kernel) readWhole(ctx context.Context, table rules.Table) (live, error) {
	text, err := k.saveText(ctx, table)
	if err != nil {
		return live{}, err
	}
	saved, err := rules.ParseSaved(table.Name, text)
	if err != nil {
		return live{}, fmt.Errorf("cannot read the nat table: %w", err)
	}
	return live{layout: layoutOfSaved(saved), saved: saved, whole: text}, nil
}

// replacedFile returns where a family's table is kept as --exclusive found it, below the
// run directory: a boot, too, would have others load their rules anew.
func replacedFile(family rules.Family) string {
	return "replaced" + filepath.Ext(RulesFile(rules.Table{Family: family}))
}

// keepReplaced writes down the tables that are to be replaced as a whole, before they
// are, for a kill half way and for second thoughts, and returns a note of each.
func (h Host) keepReplaced(kernel Kernel, seen [rules.TableCount]live) (notes []string, err error) {
	for _, family := range rules.Families() {
		if seen[family].whole == nil {
			continue
		}
		path := filepath.Join(h.Root, paths.Run, replacedFile(family))
		if err := atomicfile.WriteFile(path, seen[family].whole, 0o600); err != nil {
			return nil, fmt.Errorf("cannot keep what is to be replaced: %w", err)
		}
		notes = append(notes, fmt.Sprintf("what was replaced is kept until the next boot: to have it back, %s -c < %s",
			programName(family, kernel.Variant, "restore"), path))
	}
	return notes, nil
}

// replace puts a table in the place of everything that stands in a family's live one, in
// one transaction, and reads it back. What others change after the listing lookWhole sees,
// except in the instant between it and this: a whole table has no transaction with a
// condition.
func (k Kernel) replace(ctx context.Context, seen live, table rules.Table) (change, error) {
	done := change{before: seen, loaded: true}
	if err := k.restore(ctx, table.Family, table.Text()); err != nil {
		return done, fmt.Errorf("cannot replace the %v nat table: %w", table.Family, err)
	}
	ruleset := k.rulesetID()
	saved, err := k.Save(ctx, table)
	if err == nil {
		err = compare(saved, table)
	}
	if left := foreignLines(saved); err == nil && len(left) > 0 {
		err = fmt.Errorf("%w: it still holds %s", errNotInStep, left[0])
	}
	if err != nil {
		return done, fmt.Errorf("cannot read the %v nat table back: %w", table.Family, err)
	}
	if ruleset == k.rulesetID() {
		done.ruleset = ruleset
	}
	return done, nil
}

// putBack puts a whole table back, with its counters: ip6tables-nft-restore of iptables
// 1.8.9 takes those of policies only. Whether it is so, the kernel says and not the program.
func (k Kernel) putBack(ctx context.Context, table rules.Table, before live) error {
	sent := k.restore(ctx, table.Family, before.whole, "-c")
	now, err := k.Save(ctx, table)
	if err != nil {
		return errors.Join(sent, err)
	}
	if slices.Equal(foreignLines(now), foreignLines(before.saved)) && transaction(layoutOfSaved(now), before.layout) == nil {
		return nil
	}
	return errors.Join(errNotInStep, sent)
}
