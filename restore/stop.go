package restore

import (
	"context"
	"fmt"

	"natspread/internal/rules"
	"natspread/restore/generation"
)

// Stop takes natspread's chains and jumps out of the kernel, of both variants, and puts
// forwarding back to what was found, where it is still as natspread left it. The
// generations stay. UDP goes to a backend no more; other connections that are open are not
// cut.
func (h Host) Stop(ctx context.Context) (Result, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()

	load, err := h.loadOwn(ctx, kernel, rules.NoTables())
	if err != nil {
		return Result{}, err
	}
	result := Result{Variant: kernel.Variant, Changed: load.Changed, Loaded: load.Changed}
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		return result, err
	}
	if result.Changed = result.Changed || result.Cleared; result.Changed {
		change := h.change(h.Store().Wanted().Generation, generation.None())
		change.Spare = true // nothing was taken out of the config
		result.deleteStale(ctx, change)
	}
	if _, err := h.forwarding().Set(rules.NoTables()); err != nil {
		return result, fmt.Errorf("the rules are gone, but %w", err)
	}
	result.Notes = append(result.Notes, h.Store().EndPending()...)
	result.note(h.Store().ForgetCounts())
	if result.Changed && !kernel.HasForeignRules(ctx) {
		result.Notes = append(result.Notes, "no other rule stands in the nat table: unless some other table keeps connection tracking on, balanced connections that were still open end now")
	}
	return result, nil
}
