package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/atomicfile"
	"natspread/nat"
)

// Trial is what becomes of tables that Try loads.
type Trial struct {
	For time.Duration // until they are taken back
	// Arm starts what calls UndoOverdue after that time, whatever becomes of this
	// process, and returns what calls it off. It is called before anything is loaded,
	// while the lock is held.
	Arm func(ctx context.Context, after time.Duration) (disarm func(context.Context), err error)
}

// Pending is a generation that is loaded until somebody confirms it. It is kept in
// /run, so a reboot forgets it, and boot has never known it.
type Pending struct {
	Generation int           `json:"generation"`
	Until      time.Duration `json:"until"`   // on the clock that counts from boot, and never jumps
	Loaded     bool          `json:"loaded"`  // before it, too, rules of natspread's were in the kernel
	Variant    Variant       `json:"variant"` // by which they were
	// What Try found, by family; nil for one that the kernel does not have.
	Forwarding [2]*switchState `json:"forwarding"`
}

// Left returns how long it is until the generation is taken back; it is negative
// when that should have happened.
func (p Pending) Left() time.Duration { return p.Until - sinceBoot() }

// String says what waits, how long still, and what to type.
func (p Pending) String() string {
	left := "its time is over"
	if p.Left() > 0 {
		left = fmt.Sprintf("for %v more", (p.Left() + time.Second).Truncate(time.Second))
	}
	return fmt.Sprintf("generation %d waits to be confirmed, %s: natspread confirm keeps it, natspread rollback takes it back", p.Generation, left)
}

// sinceBoot returns the time since boot, suspensions included: clock_gettime(2).
func sinceBoot() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // fails for no clock that exists
	return time.Duration(now.Nano())
}

// ErrNothingPending says that no generation waits to be confirmed.
var ErrNothingPending = errors.New("no generation waits to be confirmed")

// pendingRecord is where the pending generation is recorded, below the root.
const pendingRecord = runDir + "/pending"

// Pending returns the generation that waits to be confirmed, or ErrNothingPending.
func (s Store) Pending() (pending Pending, err error) {
	data, err := readTrusted(s.Root, pendingRecord)
	if notExist(err) {
		return Pending{}, ErrNothingPending
	}
	if err == nil {
		err = json.Unmarshal(data, &pending)
	}
	if err != nil {
		return Pending{}, fmt.Errorf("cannot tell which generation waits to be confirmed: %w: natspread restore loads the current one", err)
	}
	return pending, nil
}

// remember records a pending generation.
func (s Store) remember(pending Pending) error {
	data, err := json.Marshal(pending)
	if err == nil {
		err = atomicfile.WriteFile(s.path(pendingRecord), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot record that generation %d waits to be confirmed: %w", pending.Generation, err)
	}
	return nil
}

// forget takes the files of the pending generation away, and then the record: with it
// goes the last reason to try again. On a disk that takes no writes, as in the unit's
// sandbox, the next generation that is written takes them away: see sweep.
func (s Store) forget() error {
	if err := s.sweep(); err != nil && !notExist(err) && !readOnly(err) {
		return fmt.Errorf("cannot remove the generation that was not confirmed: %w", err)
	}
	if err := os.Remove(s.path(pendingRecord)); err != nil && !notExist(err) {
		return fmt.Errorf("cannot forget the generation that waits to be confirmed: %w", err)
	}
	return nil
}

// refusePending is an error while a generation waits to be confirmed: another change
// would leave unclear what it is that is confirmed, or taken back.
func (s Store) refusePending() error {
	pending, err := s.Pending()
	if errors.Is(err, ErrNothingPending) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.New(pending.String())
}

// Try is Apply for some time only: what boot loads stays as it is, and unless Confirm
// comes first, what trial.Arm started puts everything back. What is loaded and
// current already is not tried.
func (h Host) Try(ctx context.Context, request Request, trial Trial) (Result, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()

	if err := h.store().refusePending(); err != nil {
		return Result{}, unchanged(err)
	}
	wanted := h.generation(request, kernel.Variant, true)
	if number := h.store().holds(wanted); number != 0 && h.inStep(ctx, kernel, wanted.Tables) {
		return Result{Generation: number, Variant: kernel.Variant}, nil
	}
	if err := kernel.ProveAll(ctx, request.Tables); err != nil {
		return Result{}, unchanged(err)
	}
	pending, err := h.found(ctx, kernel)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if pending.Generation, err = h.store().writeUnconfirmed(wanted); err != nil {
		return Result{}, unchanged(err)
	}
	return h.tryProven(ctx, kernel, wanted, pending, trial)
}

// tryProven takes the steps of Try that need a way back, and the way back first: a
// kill at any moment then finds it armed, and nothing loaded that is not recorded.
func (h Host) tryProven(ctx context.Context, kernel Kernel, wanted Generation, pending Pending, trial Trial) (Result, error) {
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
	undoLoad, loaded, err := kernel.loadAll(ctx, wanted.Tables)
	if err != nil {
		return Result{}, errors.Join(err, abandon(context.WithoutCancel(ctx)))
	}
	if err := h.forwarding().set(wanted.Tables); err != nil {
		return Result{}, joinUndo(ctx, err, func(ctx context.Context) error { return errors.Join(undoLoad(ctx), abandon(ctx)) })
	}
	result := Result{Generation: pending.Generation, Variant: kernel.Variant, Changed: true, Loaded: loaded}
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		result.Notes = append(result.Notes, err.Error())
	}
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
	for _, family := range nat.Families() {
		if !k.mayHold(family) {
			continue
		}
		saved, err := k.Read(ctx, nat.Table{Family: family})
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
	generation, err := store.readUnconfirmed(pending.Generation)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if err := h.stillHolds(ctx, generation); err != nil {
		return Result{}, unchanged(fmt.Errorf("cannot confirm generation %d: %w: natspread rollback, and apply again", generation.Generation, err))
	}
	if err := store.promote(generation.Generation); err != nil {
		return Result{}, err
	}
	result := Result{Generation: generation.Generation, Variant: generation.Variant, Changed: true}
	for _, step := range []func() error{store.forget, func() error { return store.prune(generation.Generation) }} {
		if err := step(); err != nil { // the generation is current all the same
			result.Notes = append(result.Notes, err.Error())
		}
	}
	return result, nil
}

// stillHolds is an error unless the kernel holds a generation's rules.
func (h Host) stillHolds(ctx context.Context, generation Generation) error {
	kernel := Kernel{Run: h.Run, Variant: generation.Variant}
	for _, family := range nat.Families() {
		table := generation.Tables.Of(family)
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
	before := Generation{Tables: noTables()}
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
	_, loaded, err := kernel.loadAll(ctx, before.Tables)
	if err != nil {
		return Result{}, err
	}
	result := Result{Generation: before.Generation, Variant: kernel.Variant, Changed: true, Loaded: loaded, Fallback: fallback}
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		return result, err
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

// endTrial forgets a pending generation after the kernel was given something else
// than it, and returns a note of it.
func (s Store) endTrial() []string {
	pending, err := s.Pending()
	if errors.Is(err, ErrNothingPending) {
		return nil
	}
	if failed := s.forget(); failed != nil {
		return []string{failed.Error()}
	}
	if err != nil { // and nobody will know which it was
		return nil
	}
	return []string{fmt.Sprintf("generation %d was not confirmed, and is gone", pending.Generation)}
}

// addPending adds the generation that waits to be confirmed to a status. It is no
// drift of the kernel, but not what boot loads either.
func (s Store) addPending(status *Status) {
	pending, err := s.Pending()
	if errors.Is(err, ErrNothingPending) {
		return
	}
	if err != nil {
		status.Drifts = append(status.Drifts, err.Error())
		return
	}
	status.Pending = &pending
	status.Drifts = append(status.Drifts, pending.String())
	if generation, err := s.readUnconfirmed(pending.Generation); err == nil {
		status.Wanted = generation
	}
}

// unconfirmedPrefix begins the name of a generation's directory that waits to be
// confirmed: no number, so no boot takes it for one to fall back to.
const unconfirmedPrefix = ".unconfirmed-"

// unconfirmedDir returns the directory of a generation that waits to be confirmed,
// relative to the root.
func unconfirmedDir(number int) string {
	return filepath.Join(generationsDir, fmt.Sprint(unconfirmedPrefix, number))
}

// writeUnconfirmed writes a new generation that waits to be confirmed.
func (s Store) writeUnconfirmed(generation Generation) (number int, err error) {
	return s.writeNew(generation, unconfirmedDir)
}

// readUnconfirmed is Read for a generation that waits to be confirmed.
func (s Store) readUnconfirmed(number int) (Generation, error) {
	generation, err := s.readFrom(unconfirmedDir(number), number)
	if notExist(err) { // a promote was killed half way
		return s.Read(number)
	}
	if err != nil {
		return Generation{}, notGood(number, err)
	}
	return generation, nil
}

// promote makes the generation that waits to be confirmed one like the others, and
// then current. Killed in between it can be repeated, or undone: then there is one
// more to roll back to.
func (s Store) promote(number int) error {
	err := os.Rename(s.path(unconfirmedDir(number)), s.path(dir(number)))
	if err == nil || notExist(err) {
		err = atomicfile.SyncDir(s.path(generationsDir))
	}
	if err == nil {
		err = s.pointCurrent(filepath.Join("generations", strconv.Itoa(number)))
	}
	if err != nil {
		return fmt.Errorf("cannot confirm generation %d: %w; it still waits to be confirmed", number, err)
	}
	return nil
}
