package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"natspread/internal/rules"
)

// Undo takes the pending generation back: the current generation is loaded again, or
// no rules where none were, and forwarding is as it was found. It may be repeated
// until it has succeeded.
func (h Host) Undo(ctx context.Context) (Result, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()
	pending, err := h.store().Pending()
	if err != nil {
		return Result{}, unchanged(err)
	}
	return h.undo(ctx, pending)
}

// undo does it, and forgets the generation when the rest is done.
func (h Host) undo(ctx context.Context, pending Pending) (Result, error) {
	store := h.store()
	if current, err := store.CurrentNumber(); err == nil && current == pending.Generation {
		return Result{}, errors.Join(ErrNothingPending, store.forget()) // a confirm was killed after all it promised
	}
	before := Generation{Tables: rules.NoTables()}
	var fallback error
	if pending.Loaded {
		good, why, err := store.newestGood()
		if err != nil && !errors.Is(err, ErrNone) {
			return Result{}, unchanged(err)
		}
		if err == nil {
			before, fallback = good, why
		}
	}
	kernel := Kernel{Run: h.Run, Variant: pending.Variant}
	seen, err := kernel.lookAll(ctx, before.Tables)
	if err != nil {
		return Result{}, err
	}
	load, err := kernel.loadAll(ctx, seen, before.Tables)
	if err != nil {
		return Result{}, err
	}
	result := Result{Generation: before.Generation, Variant: kernel.Variant, Changed: true, Loaded: load.changed, Fallback: fallback}
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		return result, err
	}
	if tried, err := store.readWaiting(pending.Generation); err == nil {
		result.settle(ctx, h.settlement(tried, before))
	}
	if err := h.forwarding().putStates(pending.Forwarding); err != nil {
		return result, fmt.Errorf("the rules are what they were, but %w", err)
	}
	if err := store.forget(); err != nil {
		return result, err
	}
	if fallback != nil {
		return result, fmt.Errorf("fell back to generation %d: %w", before.Generation, fallback)
	}
	return result, nil
}

// overdueTries bounds how often UndoOverdue tries, once a second, what fails.
const overdueTries = 60

// UndoOverdue waits until the time of the pending generation is over and takes it
// back then, unless it was confirmed; then, and when there is none to begin with, it
// is ErrNothingPending. What fails is tried again: nobody may be there to do it.
func (h Host) UndoOverdue(ctx context.Context) (Result, error) {
	for tries := 0; ; {
		result, left, err := h.undoIfOver(ctx)
		switch {
		case err == nil && left <= 0, errors.Is(err, ErrNothingPending):
			return result, err
		case err != nil && tries == overdueTries:
			return result, err
		case err != nil:
			left = time.Second
			tries++
		}
		select {
		case <-ctx.Done():
			return Result{}, unchanged(ctx.Err())
		case <-time.After(min(left, time.Second)): // it may be confirmed meanwhile
		}
	}
}

// undoIfOver takes the pending generation back, or tells how much time is left.
func (h Host) undoIfOver(ctx context.Context) (Result, time.Duration, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return Result{}, 0, unchanged(err)
	}
	defer unlock()
	pending, err := h.store().Pending()
	if err != nil {
		return Result{}, 0, err
	}
	if left := pending.Left(); left > 0 {
		return Result{}, left, nil
	}
	result, err := h.undo(ctx, pending)
	return result, 0, err
}
