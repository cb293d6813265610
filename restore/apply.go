package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"natspread/internal/rules"
)

// Request is what Apply is to make true.
type Request struct {
	Tables  rules.Tables
	Config  []byte    // the text that the tables were made from
	Command string    // the verb, for the manifest
	Now     time.Time // for the manifest
	DryRun  bool      // prove, and stop before anything is written or loaded
	// Exclusive asks to replace the whole nat table of each family that has rules, and
	// holds what is agreed to vanish by that; nil leaves foreign rules as they are.
	Exclusive *Foreign
}

// Result says what was done.
type Result struct {
	Generation int      // the one that is current now; 0 with DryRun
	Variant    Variant  // the one in use
	Changed    bool     // false when there was nothing to do
	Loaded     bool     // the kernel was given something
	Cleared    bool     // rules of ours were taken out of the other variant
	Removed    Foreign  // with Exclusive: what vanished, or would with DryRun
	Forgotten  int      // connection tracking entries that were deleted, so that the next packet meets the rules
	Fallback   error    // restore only: why an older generation was loaded
	Notes      []string // what the administrator should know, a sentence each
}

// Apply proves the tables, writes them as a new generation, loads them, reads them
// back, makes them current and switches forwarding on, in this order. A failure at
// any step leaves, or puts back, what was there before, and its error says so. What
// is current already is not written again, and what is loaded already not loaded.
func (h Host) Apply(ctx context.Context, request Request) (Result, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if request.DryRun {
		return Result{Variant: kernel.Variant, Changed: true, Removed: request.removes()}, h.dryRun(ctx, kernel, request)
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()

	plan, err := h.plan(ctx, kernel, request)
	if err != nil || plan.done {
		return Result{Generation: plan.wanted.Generation, Variant: kernel.Variant}, err
	}
	result, err := h.applyProven(ctx, kernel, plan.seen, plan.wanted)
	if err == nil {
		result.Removed = request.removes()
		result.settle(ctx, plan.settlement())
	}
	return result, err
}

// removes returns what is agreed to vanish.
func (r Request) removes() Foreign {
	if r.Exclusive == nil {
		return Foreign{}
	}
	return *r.Exclusive
}

// plan is what Apply and Try begin with.
type plan struct {
	wanted     Generation             // proven; with its number if it is current already
	done       bool                   // the kernel holds it and it is current: there is nothing to do
	seen       [rules.TableCount]live // what stands in the kernel
	settlement func() settlement
}

// plan looks at what there is and proves what is to be. While a generation waits to be
// confirmed nothing is planned.
func (h Host) plan(ctx context.Context, kernel Kernel, request Request) (planned plan, err error) {
	if err := h.store().refusePending(); err != nil {
		return plan{}, unchanged(err)
	}
	current, fallback := h.store().current()
	planned.wanted = h.generation(request, kernel.Variant, true)
	if fallback == nil && current.same(planned.wanted) && current.Variant == kernel.Variant && current.Proven {
		planned.wanted.Generation = current.Generation
		alone := request.Exclusive == nil || request.Exclusive.Len() == 0
		if planned.done = alone && h.inStep(ctx, kernel, current); planned.done {
			return planned, nil
		}
	}
	planned.settlement = h.settlementLater(current, planned.wanted)
	if err := kernel.ProveChange(ctx, current.proven(kernel.Variant), request.Tables); err != nil {
		return plan{}, unchanged(err)
	}
	if request.Exclusive != nil {
		planned.seen, err = kernel.lookWhole(ctx, *request.Exclusive, request.Tables)
	} else {
		planned.seen, err = h.seen(ctx, kernel, current, request.Tables)
	}
	return planned, err
}

// seen returns the live tables: read, or, if the kernel still holds the
// current generation as it was last seen to, that one's.
func (h Host) seen(ctx context.Context, kernel Kernel, current Generation, tables rules.Tables) (seen [rules.TableCount]live, err error) {
	ruleset, held := h.recalls(kernel, current.Generation)
	if !held {
		return kernel.lookAll(ctx, tables)
	}
	for i, table := range current.Tables.All() {
		seen[i] = live{layout: layoutOf(table), ruleset: ruleset}
	}
	return seen, nil
}

// proven returns the tables of a generation that were proven with a variant on this
// host.
func (g Generation) proven(variant Variant) rules.Tables {
	if !g.Proven || g.Variant != variant {
		return rules.NoTables()
	}
	return g.Tables
}

// generation returns the generation that a request asks for, as yet without its
// number and checksums.
func (h Host) generation(request Request, variant Variant, proven bool) Generation {
	return Generation{
		Tables: request.Tables,
		Config: request.Config,
		Manifest: Manifest{
			Created: request.Now.UTC().Truncate(time.Second), Command: request.Command,
			Version: h.Version, Variant: variant, Proven: proven,
		},
	}
}

// dryRun does what can be done without a trace.
func (h Host) dryRun(ctx context.Context, kernel Kernel, request Request) error {
	if err := kernel.ProveAll(ctx, request.Tables); err != nil {
		return unchanged(err)
	}
	return nil
}

// unchanged adds to an error what the administrator most wants to know.
func unchanged(err error) error { return fmt.Errorf("%w; nothing was changed", err) }

// current returns the generation that the kernel should hold: the current one, or the
// newest good one with the reason; an empty one when there is none.
func (s Store) current() (good Generation, fallback error) {
	good, fallback, err := s.newestGood()
	if err != nil {
		return Generation{Tables: rules.NoTables()}, err
	}
	return good, fallback
}

// inStep tells whether the kernel holds the current generation and forwards it, so that
// a load would change nothing: also each jump in its place, before foreign rules. A kernel
// that cannot be read is for the load to fail on.
func (h Host) inStep(ctx context.Context, kernel Kernel, current Generation) bool {
	seen, err := h.seen(ctx, kernel, current, current.Tables)
	if err != nil {
		return false
	}
	for i, table := range current.Tables.All() {
		if transaction(seen[i].layout, layoutOf(table)) != nil {
			return false
		}
	}
	ours, _ := h.otherHolds(ctx, kernel)
	return len(ours)+len(h.notForwarded(current.Tables)) == 0
}

// applyProven takes the steps of Apply that leave traces, undoing them when one
// fails. A generation that has a number already is current.
func (h Host) applyProven(ctx context.Context, kernel Kernel, seen [rules.TableCount]live, wanted Generation) (Result, error) {
	publish, err := h.store().prepare(wanted)
	if err != nil {
		return Result{}, unchanged(err)
	}
	notes, err := h.keepReplaced(kernel, seen)
	if err != nil {
		return Result{}, unchanged(errors.Join(err, publish.abandon()))
	}
	load, err := kernel.loadAll(ctx, seen, wanted.Tables)
	if err != nil {
		return Result{}, errors.Join(err, publish.abandon())
	}
	undo := func(ctx context.Context) error { return errors.Join(load.undo(ctx), publish.abandon()) }
	if err := publish.make(); err != nil {
		return Result{}, joinUndo(ctx, err, undo)
	}
	if err := h.forwarding().set(wanted.Tables); err != nil {
		return Result{}, joinUndo(ctx, err, undo)
	}
	h.remember(kernel, publish.number, load.ruleset)
	result := Result{Generation: publish.number, Variant: kernel.Variant, Changed: true, Loaded: load.changed, Notes: notes}
	// The change stands from here on: what is left is housekeeping, and its
	// failure is told, not undone.
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		result.Notes = append(result.Notes, err.Error())
	}
	if err := h.store().prune(); err != nil {
		result.Notes = append(result.Notes, err.Error())
	}
	return result, nil
}
