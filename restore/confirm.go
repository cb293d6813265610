package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Trial says what happens to tables that Try loads.
type Trial struct {
	For time.Duration // until they are reverted
	// Schedule starts what calls RevertOverdue after that time, whatever happens to this
	// process, and returns what cancels it. It is called before anything is loaded, while
	// the lock is held.
	Schedule func(ctx context.Context, after time.Duration) (cancel func(context.Context), err error)
}

// Try is Apply for some time only: what boot loads stays as it is, and unless Confirm
// comes first, what trial.Schedule started reverts everything. What is loaded and
// current already is not tried.
func (h Host) Try(ctx context.Context, request Request, trial Trial) (Result, error) {
	if request.Exclusive != nil { // after a kill nobody would know what to load again
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
		return Result{Generation: plan.wanted.Number, Variant: kernel.Variant, Asleep: len(h.dormant(kernel, plan.wanted)) > 0}, err
	}
	var pending generation.Pending
	notes, err := h.whileProven(plan, func() (err error) {
		if pending, err = h.found(ctx, kernel); err == nil {
			pending.TakenOut, pending.TakenBy = plan.observed.Taken(), kernel.Variant
			pending.Number, err = h.Store().Write(plan.wanted)
		}
		return err
	}, h.Store().ForgetPending)
	if err != nil {
		return Result{}, unchanged(err)
	}
	result, err := h.tryProven(ctx, kernel, plan, pending, trial)
	if err == nil {
		result.Notes = append(notes, result.Notes...)
	}
	return result, err
}

// tryProven takes the steps of Try that may have to be reverted, and schedules that
// first: a kill at any moment then finds it scheduled, and nothing loaded that is not
// recorded.
func (h Host) tryProven(ctx context.Context, kernel iptables.Kernel, plan plan, pending generation.Pending, trial Trial) (Result, error) {
	pending.Until = generation.SinceBoot() + trial.For // before Schedule, so that what it starts comes no earlier
	cancel, err := trial.Schedule(ctx, trial.For)
	if err != nil {
		return Result{}, unchanged(errors.Join(err, h.Store().ForgetPending()))
	}
	abandon := func(ctx context.Context) error {
		defer cancel(ctx)
		return h.Store().ForgetPending()
	}
	if err := h.Store().RecordPending(pending); err != nil {
		return Result{}, iptables.Revert(ctx, err, abandon)
	}
	plan.wanted.Number = pending.Number
	swap, err := h.swapOverlay(plan.wanted, plan.overlay)
	if err != nil {
		return Result{}, iptables.Revert(ctx, err, abandon)
	}
	load, err := kernel.Load(ctx, plan.observed, plan.tables())
	var left *iptables.NotRevertedError
	switch {
	case errors.As(err, &left): // what was scheduled reverts it
		return Result{}, err
	case err != nil:
		return Result{}, errors.Join(err, swap.Revert(), abandon(context.WithoutCancel(ctx)))
	}
	opened, err := h.forwarding().Set(plan.wanted.Tables)
	if err != nil {
		return Result{}, iptables.Revert(ctx, err, func(ctx context.Context) error {
			if err := load.Revert(ctx); err != nil { // what was scheduled tries again
				return err
			}
			return errors.Join(swap.Revert(), abandon(ctx))
		})
	}
	result := Result{Generation: pending.Number, Variant: kernel.Variant, Changed: true, Loaded: load.Changed}
	result.open(opened)
	result.note(swap.Commit())
	result.Cleared, err = h.clearOther(ctx, kernel)
	result.note(err)
	change := plan.change()
	change.Spare = true
	result.deleteStale(ctx, change)
	return result, nil
}

// found returns what there is before a trial, for its revert.
func (h Host) found(ctx context.Context, kernel iptables.Kernel) (generation.Pending, error) {
	switches, err := h.forwarding().States()
	pending := generation.Pending{Variant: kernel.Variant, Forwarding: switches, Namespace: h.here()}
	if err != nil {
		return pending, err
	}
	if pending.Loaded, err = kernel.InUse(ctx); err != nil || pending.Loaded {
		return pending, err
	}
	if other, present := h.other(kernel); present {
		if loaded, err := other.InUse(ctx); err == nil && loaded {
			pending.Loaded, pending.Variant = true, other.Variant
		}
	}
	return pending, nil
}

// Confirm makes the pending generation current, if the kernel still holds it, and switches
// forwarding on where it is off.
func (h Host) Confirm(ctx context.Context) (Result, error) {
	unlock, err := h.lockTrial(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()

	store := h.Store()
	pending, err := store.Pending()
	if err != nil {
		return Result{}, unchanged(err)
	}
	tried, err := store.ReadPending(pending.Number)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if err := h.stillHolds(ctx, tried); err != nil {
		return Result{}, unchanged(fmt.Errorf("cannot confirm generation %d: %w: natspread rollback, and apply again", tried.Number, err))
	}
	opened, err := h.forwarding().Set(tried.Tables) // a trial that was killed may have loaded its rules alone
	if err != nil {
		return Result{}, unchanged(err)
	}
	before := store.Wanted().Boot
	if err := store.SetCurrent(tried.Number); err != nil {
		return Result{}, fmt.Errorf("%w; it still waits to be confirmed", err)
	}
	result := Result{Generation: tried.Number, Variant: tried.Variant, Changed: true}
	result.open(opened)
	result.deleteStale(ctx, h.change(before, tried)) // what the trial did not cut
	result.note(store.ForgetPending())               // the generation is current all the same
	result.Notes = append(result.Notes, store.TakenOutNotes(tried.Number, tried.Variant)...)
	return result, nil
}

// stillHolds is an error unless the kernel holds a generation's rules, or those of its overlay.
func (h Host) stillHolds(ctx context.Context, tried generation.Generation) error {
	kernel := h.kernel(tried.Variant)
	overlay, _ := h.Store().Overlay(tried)
	for _, table := range (generation.Wanted{Generation: tried, Overlay: overlay}).Tables().All() {
		saved, err := kernel.Read(ctx, table)
		if err == nil {
			err = iptables.Compare(saved, table)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
