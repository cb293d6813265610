package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// keepReplaced writes down the tables that are to be replaced as a whole, or what is taken out of them,
// before they are, for a kill half way and for second thoughts, and returns a note of each whole one. forget
// puts back what was kept before, for where nothing is replaced in the end.
func (h Host) keepReplaced(kernel iptables.Kernel, observed iptables.Snapshots) (notes []string, forget func() error, err error) {
	var before []func() error
	forget = func() error {
		var failed error
		for _, undo := range before {
			failed = errors.Join(failed, undo())
		}
		return failed
	}
	for _, family := range rules.Families() {
		text := observed[family].Whole()
		whole := text != nil
		if !whole {
			text = rules.TakenText(family, observed.Taken())
		}
		if text == nil {
			continue
		}
		path := filepath.Join(h.runDir(), replacedFile(family))
		kept, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			before = append(before, func() error { return os.Remove(path) })
		case err == nil:
			before = append(before, func() error { return atomicfile.WriteFile(path, kept, 0o600) })
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = atomicfile.WriteFile(path, text, 0o600)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("cannot keep what is to be replaced: %w", errors.Join(err, forget()))
		}
		if whole { // what is taken out is kept with the generation, too, whose notes say so
			notes = append(notes, fmt.Sprintf("what was replaced is kept until the next boot: to have it back, %s -c < %s",
				rules.Program(family, kernel.Variant, "restore"), path))
		}
	}
	return notes, forget, nil
}
