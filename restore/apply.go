package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Request is what Apply is to make true.
type Request struct {
	Tables  Tables
	Config  []byte    // the text that the tables were made from
	Command string    // the verb, for the manifest
	Now     time.Time // for the manifest
	DryRun  bool      // prove, and stop before anything is written or loaded
}

// Result says what was done.
type Result struct {
	Generation int      // the one that is current now; 0 with DryRun
	Variant    Variant  // the one in use
	Changed    bool     // false when there was nothing to do
	Loaded     bool     // the kernel was given something
	Cleared    bool     // rules of ours were taken out of the other variant
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
		return Result{Variant: kernel.Variant, Changed: true}, h.dryRun(ctx, kernel, request)
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
	if wanted.Generation = h.store().holds(wanted); wanted.Generation != 0 && h.inStep(ctx, kernel, wanted.Tables) {
		return Result{Generation: wanted.Generation, Variant: kernel.Variant}, nil
	}
	if err := kernel.ProveAll(ctx, request.Tables); err != nil {
		return Result{}, unchanged(err)
	}
	before := h.store().loaded()
	result, err := h.applyProven(ctx, kernel, wanted)
	if err == nil {
		result.settle(ctx, h.settlement(before, wanted))
	}
	return result, err
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

// ProveAll proves both families' tables.
func (k Kernel) ProveAll(ctx context.Context, tables Tables) error {
	if err := k.Prove(ctx, tables.IPv4); err != nil {
		return err
	}
	return k.Prove(ctx, tables.IPv6)
}

// unchanged adds to an error what the administrator most wants to know.
func unchanged(err error) error { return fmt.Errorf("%w; nothing was changed", err) }

// holds returns the number of the current generation if it holds just what is
// wanted, else 0. One that cannot be read does not.
func (s Store) holds(wanted Generation) int {
	number, err := s.CurrentNumber()
	if err != nil {
		return 0
	}
	current, err := s.Read(number)
	if err != nil || !current.same(wanted) || current.Variant != wanted.Variant || !current.Proven {
		return 0
	}
	return number
}

// inStep tells whether the kernel holds the tables and forwards them. A kernel
// that cannot be read is for the load to fail on.
func (h Host) inStep(ctx context.Context, kernel Kernel, tables Tables) bool {
	held, err := kernel.holds(ctx, tables)
	if err != nil || !held || len(h.otherHolds(ctx, kernel)) != 0 {
		return false
	}
	off, err := h.forwardingOff(tables)
	return err == nil && len(off) == 0
}

// applyProven takes the steps of Apply that leave traces, undoing them when one
// fails. A generation that has a number already is current.
func (h Host) applyProven(ctx context.Context, kernel Kernel, wanted Generation) (Result, error) {
	publish, err := h.store().prepare(wanted)
	if err != nil {
		return Result{}, unchanged(err)
	}
	undoLoad, loaded, err := kernel.loadAll(ctx, wanted.Tables)
	if err != nil {
		return Result{}, errors.Join(err, publish.abandon())
	}
	undo := func(ctx context.Context) error { return errors.Join(undoLoad(ctx), publish.abandon()) }
	if err := publish.make(); err != nil {
		return Result{}, joinUndo(ctx, err, undo)
	}
	if err := h.forwarding().set(wanted.Tables); err != nil {
		return Result{}, joinUndo(ctx, err, undo)
	}
	result := Result{Generation: publish.number, Variant: kernel.Variant, Changed: true, Loaded: loaded}
	// The change stands from here on: what is left is housekeeping, and its
	// failure is told, not undone.
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		result.Notes = append(result.Notes, err.Error())
	}
	if err := h.store().prune(publish.number); err != nil {
		result.Notes = append(result.Notes, err.Error())
	}
	return result, nil
}

// publication is a generation on its way to be current.
type publication struct {
	store  Store
	number int
	before string // where current led to; "" when it was not there
	needed bool   // false when the generation is current already
}

// prepare writes a generation that is to become current, unless it is already.
func (s Store) prepare(wanted Generation) (publication, error) {
	if wanted.Generation != 0 {
		return publication{number: wanted.Generation}, nil
	}
	before, err := os.Readlink(s.path(currentLink))
	if err != nil && !notExist(err) {
		return publication{}, fmt.Errorf("cannot read %s: %w", s.path(currentLink), err)
	}
	number, err := s.Write(wanted)
	return publication{store: s, number: number, before: before, needed: true}, err
}

// make makes the generation current.
func (p publication) make() error {
	if !p.needed {
		return nil
	}
	return p.store.SetCurrent(p.number)
}

// abandon makes current what was so before, and removes the generation.
func (p publication) abandon() error {
	if !p.needed {
		return nil
	}
	var err error
	// A disk that took no new link takes none back either, and need not.
	if now, _ := os.Readlink(p.store.path(currentLink)); now != p.before {
		err = p.store.pointCurrent(p.before)
	}
	return errors.Join(err, p.store.remove(p.number))
}

// WriteOffline writes the tables as a new, current generation below the root and
// touches no kernel: for images. Nothing is proven until restore, when the image
// boots: see kernelFor.
func (h Host) WriteOffline(request Request, variant Variant) (number int, err error) {
	store := h.store()
	wanted := h.generation(request, variant, false)
	if number, err = store.Write(wanted); err != nil {
		return 0, err
	}
	return number, store.SetCurrent(number)
}
