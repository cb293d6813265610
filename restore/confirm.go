package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"natspread/internal/rules"
)

// Trial is what becomes of tables that Try loads.
type Trial struct {
	For time.Duration // until they are taken back
	// Arm starts what calls UndoOverdue after that time, whatever becomes of this
	// process, and returns what calls it off. It is called before anything is loaded,
	// while the lock is held.
	Arm func(ctx context.Context, after time.Duration) (disarm func(context.Context), err error)
}

// Try is Apply for some time only: what boot loads stays as it is, and unless Confirm
// comes first, what trial.Arm started puts everything back. What is loaded and
// current already is not tried.
func (h Host) Try(ctx context.Context, request Request, trial Trial) (Result, error) {
	if request.Exclusive != nil { // after a kill nobody would know what to put back
		return Result{}, unchanged(errors.New("cannot try for some time what replaces the whole nat table"))
	}
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Result{}, unchanged(err)
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
	pending, err := h.found(ctx, kernel)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if pending.Generation, err = h.store().Write(plan.wanted); err != nil {
		return Result{}, unchanged(err)
	}
	return h.tryProven(ctx, kernel, plan, pending, trial)
}

// tryProven takes the steps of Try that need a way back, and the way back first: a
// kill at any moment then finds it armed, and nothing loaded that is not recorded.
func (h Host) tryProven(ctx context.Context, kernel Kernel, plan plan, pending Pending, trial Trial) (Result, error) {
	pending.Until = sinceBoot() + trial.For // before Arm, so that what it starts comes no earlier
	disarm, err := trial.Arm(ctx, trial.For)
	if err != nil {
		return Result{}, unchanged(errors.Join(err, h.store().forget()))
	}
	abandon := func(ctx context.Context) error {
		defer disarm(ctx)
		return h.store().forget()
	}
	if err := h.store().remember(pending); err != nil {
		return Result{}, joinUndo(ctx, err, abandon)
	}
	load, err := kernel.loadAll(ctx, plan.seen, plan.wanted.Tables)
	if err != nil {
		return Result{}, errors.Join(err, abandon(context.WithoutCancel(ctx)))
	}
	if err := h.forwarding().set(plan.wanted.Tables); err != nil {
		return Result{}, joinUndo(ctx, err, func(ctx context.Context) error { return errors.Join(load.undo(ctx), abandon(ctx)) })
	}
	result := Result{Generation: pending.Generation, Variant: kernel.Variant, Changed: true, Loaded: load.changed}
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		result.Notes = append(result.Notes, err.Error())
	}
	change := plan.settlement()
	change.spares = true
	result.settle(ctx, change)
	return result, nil
}

// found returns what there is before a trial, for the way back.
func (h Host) found(ctx context.Context, kernel Kernel) (Pending, error) {
	switches, err := h.forwarding().states()
	pending := Pending{Variant: kernel.Variant, Forwarding: switches}
	if err != nil {
		return pending, err
	}
	if pending.Loaded, err = kernel.inUse(ctx); err != nil || pending.Loaded {
		return pending, err
	}
	if other, present := h.other(kernel); present {
		if loaded, err := other.inUse(ctx); err == nil && loaded {
			pending.Loaded, pending.Variant = true, other.Variant
		}
	}
	return pending, nil
}

// inUse tells whether packets meet rules of natspread's, in either family.
func (k Kernel) inUse(ctx context.Context) (bool, error) {
	for _, family := range rules.Families() {
		saved, err := k.Read(ctx, rules.Table{Family: family})
		if err != nil || hasJump(saved) {
			return err == nil, err
		}
	}
	return false, nil
}

// Confirm makes the pending generation current, if the kernel still holds it.
func (h Host) Confirm(ctx context.Context) (Result, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()

	store := h.store()
	pending, err := store.Pending()
	if err != nil {
		return Result{}, unchanged(err)
	}
	generation, err := store.readWaiting(pending.Generation)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if err := h.stillHolds(ctx, generation); err != nil {
		return Result{}, unchanged(fmt.Errorf("cannot confirm generation %d: %w: natspread rollback, and apply again", generation.Generation, err))
	}
	before, _ := store.current()
	if err := store.SetCurrent(generation.Generation); err != nil {
		return Result{}, fmt.Errorf("%w; it still waits to be confirmed", err)
	}
	result := Result{Generation: generation.Generation, Variant: generation.Variant, Changed: true}
	result.settle(ctx, h.settlement(before, generation)) // what the trial did not cut
	for _, step := range []func() error{store.forget, store.prune} {
		if err := step(); err != nil { // the generation is current all the same
			result.Notes = append(result.Notes, err.Error())
		}
	}
	return result, nil
}

// stillHolds is an error unless the kernel holds a generation's rules.
func (h Host) stillHolds(ctx context.Context, generation Generation) error {
	kernel := Kernel{Run: h.Run, Variant: generation.Variant}
	for _, table := range generation.Tables.All() {
		saved, err := kernel.Read(ctx, table)
		if err == nil {
			err = compare(saved, table)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
