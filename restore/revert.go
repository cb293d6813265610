package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"natspread/restore/generation"
)

// Revert ends the trial of the pending generation: the current generation is loaded again,
// or no rules where none were, and each forwarding switch is set to what was found if it is
// still as the trial left it. It may be repeated until it has succeeded.
func (h Host) Revert(ctx context.Context) (Result, error) {
	unlock, err := h.lockTrial(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()
	pending, err := h.Store().Pending()
	if err != nil {
		return Result{}, unchanged(err)
	}
	return h.revert(ctx, pending)
}

// revert is Revert under the lock. It forgets the generation when the rest is done.
func (h Host) revert(ctx context.Context, pending generation.Pending) (Result, error) {
	store := h.Store()
	if current, err := store.CurrentNumber(); err == nil && current == pending.Number {
		return Result{}, errors.Join(generation.ErrNothingPending, store.ForgetPending()) // a confirm was killed after all it promised
	}
	before := generation.None()
	var fallback error
	if pending.Loaded {
		good, why, err := store.Boot()
		if err != nil && !errors.Is(err, generation.ErrNone) {
			return Result{}, &FixError{unchanged(err), generationFix(err)}
		}
		if err == nil {
			before, fallback = good, why
		}
	}
	kernel := h.kernel(pending.Variant)
	// First, so that whatever they translated is translated all the time: natspread's jumps stand before them.
	if err := h.kernel(pending.TakenBy).PutBack(ctx, pending.TakenOut); err != nil {
		return Result{}, err
	}
	load, err := h.loadOwn(ctx, kernel, before.Tables)
	if err != nil {
		return Result{}, err
	}
	result := Result{Generation: before.Number, Variant: kernel.Variant, Changed: true, Loaded: load.Changed, Fallback: fallback}
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		return result, err
	}
	// What is put back leads on what the trial's rules led: no connection is to move.
	if tried, err := store.ReadPending(pending.Number); err == nil && len(pending.TakenOut) == 0 {
		result.deleteStale(ctx, h.change(tried, before))
	}
	if err := h.forwarding().Revert(pending.Forwarding); err != nil {
		return result, fmt.Errorf("the rules are what they were, but %w", err)
	}
	if err := store.ForgetPending(); err != nil {
		return result, err
	}
	if fallback != nil {
		return result, &FixError{fmt.Errorf("fell back to generation %d: %w", before.Number, fallback), generationFix(fallback)}
	}
	return result, nil
}

// lockTrial is lock for what ends a trial. Try makes the run directory, for its record. Where
// that directory is gone, as after a reboot or with the whole root, no trial waits, and the
// directory is not made anew.
func (h Host) lockTrial(ctx context.Context) (unlock func(), err error) {
	for _, path := range []string{h.Root, h.runDir()} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, generation.ErrNothingPending
		}
	}
	return h.lock(ctx)
}

// overdueTries bounds how often RevertOverdue tries, once a second, what fails.
const overdueTries = 60

// RevertOverdue waits until the time of the pending generation is over and reverts it
// then, unless it was confirmed; then, and when there is none to begin with, it
// is ErrNothingPending. What fails is tried again: nobody may be there to do it.
func (h Host) RevertOverdue(ctx context.Context) (Result, error) {
	for tries := 0; ; {
		result, left, err := h.revertIfOver(ctx)
		switch {
		case err == nil && left <= 0, errors.Is(err, generation.ErrNothingPending):
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

// revertIfOver reverts the pending generation, or tells how much time is left.
func (h Host) revertIfOver(ctx context.Context) (Result, time.Duration, error) {
	if left, err := h.trialLeft(ctx); err != nil || left > 0 {
		return Result{}, left, err
	}
	unlock, err := h.lockTrial(ctx)
	if err != nil {
		return Result{}, 0, unchanged(err)
	}
	defer unlock()
	pending, err := h.Store().Pending()
	if err != nil {
		return Result{}, 0, err
	}
	if left := pending.Left(); left > 0 {
		return Result{}, left, nil
	}
	result, err := h.revert(ctx, pending)
	return result, 0, err
}

// trialLeft returns how long the pending generation may wait. It does not exclude those who only look:
// a trial that waits is no natspread at work.
func (h Host) trialLeft(ctx context.Context) (time.Duration, error) {
	unlock, err := lockOut(ctx, h.runDir())
	defer unlock()
	if err != nil {
		return 0, unchanged(err)
	}
	pending, err := h.Store().Pending()
	return pending.Left(), err
}
