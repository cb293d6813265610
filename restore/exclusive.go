package restore

import (
	"context"
	"fmt"
	"path/filepath"

	"natspread/internal/atomicfile"
	"natspread/internal/rules"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Foreign returns what an apply of the tables with Request.Exclusive takes away: all
// that is not natspread's in the table of each family for which there are rules. The
// other family, and the other variant's tables, are left alone.
func (h Host) Foreign(ctx context.Context, tables rules.Tables) (iptables.Foreign, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return iptables.Foreign{}, unchanged(err)
	}
	foreign, err := kernel.Foreign(ctx, tables)
	return foreign, unchanged(err)
}

// replacedFile returns where a family's table is kept as --exclusive found it, below the
// run directory: a boot, too, would have others load their rules anew.
func replacedFile(family rules.Family) string {
	return "replaced" + filepath.Ext(generation.RulesFile(rules.Table{Family: family}))
}

// keepReplaced writes down the tables that are to be replaced as a whole, before they
// are, for a kill half way and for second thoughts, and returns a note of each.
func (h Host) keepReplaced(kernel iptables.Kernel, observed iptables.Snapshots) (notes []string, err error) {
	for _, family := range rules.Families() {
		if observed[family].Whole() == nil {
			continue
		}
		path := filepath.Join(h.runDir(), replacedFile(family))
		if err := atomicfile.WriteFile(path, observed[family].Whole(), 0o600); err != nil {
			return nil, fmt.Errorf("cannot keep what is to be replaced: %w", err)
		}
		notes = append(notes, fmt.Sprintf("what was replaced is kept until the next boot: to have it back, %s -c < %s",
			rules.Program(family, kernel.Variant, "restore"), path))
	}
	return notes, nil
}
