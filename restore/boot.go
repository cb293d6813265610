package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/flows"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Restore loads the current generation and switches forwarding on:
// what the unit does at boot. A current generation that is not good gives way to
// the newest good one; then everything is done with that one, and the error still
// says why. It reads no config. An error whose fix is known is a *FixError.
func (h Host) Restore(ctx context.Context) (Result, error) {
	wait, until := LockTimeout, time.Time{}
	if h.Wait > 0 { // for all locks together: whoever runs it gave so much time, and no more
		wait, until = h.Wait, time.Now().Add(h.Wait)
	}
	unlock, err := h.lockFor(ctx, wait)
	switch {
	case errors.Is(err, unix.EROFS):
		unlock = func() {} // nobody can apply there either
	case err != nil:
		return Result{}, busyFix(unchanged(err))
	}
	defer unlock()

	good, fallback, err := h.Store().Boot()
	switch {
	case errors.Is(err, generation.ErrNone): // which says itself what to type
		return Result{}, unchanged(err)
	case err != nil:
		return Result{}, &FixError{unchanged(err), generationFix(err)}
	}
	result, err := h.loadAtBoot(ctx, good, until)
	if err != nil {
		return Result{}, busyFix(err)
	}
	result.Fallback = fallback
	if _, err := h.forwarding().Set(good.Tables); err != nil { // apply has said whom that lets through
		return result, fmt.Errorf("the rules are loaded, but nothing is forwarded: %w", err)
	}
	result.Notes = append(result.Notes, h.Store().EndPending()...)
	if fallback != nil {
		return result, &FixError{fmt.Errorf("fell back to generation %d: %w", good.Number, fallback), generationFix(fallback)}
	}
	return result, nil
}

// loadAtBoot brings the kernel to a good generation, all but forwarding.
func (h Host) loadAtBoot(ctx context.Context, good generation.Generation, until time.Time) (Result, error) {
	kernel, notes, err := h.kernelFor(ctx, good, until)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if h.keepsOverlay(ctx, kernel, good) {
		return Result{Generation: good.Number, Variant: kernel.Variant, Notes: notes}, nil
	}
	load, err := h.loadOwn(ctx, kernel, good.Tables)
	if err != nil {
		return Result{}, err
	}
	h.recordLoaded(kernel, good.Number, "", load.Ruleset)
	dormant := h.dormant(kernel, good)
	result := Result{Generation: good.Number, Variant: kernel.Variant, Changed: load.Changed, Loaded: load.Changed, Asleep: len(dormant) > 0, Notes: append(notes, dormant...)}
	if kernel.Variant != good.Variant {
		if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
			result.Notes = append(result.Notes, err.Error())
		}
	}
	if load.Changed {
		result.deleteStale(ctx, change{Change: flows.Change{Tables: good.Tables}})
	}
	return result, nil
}

// keepsOverlay tells whether the kernel holds an overlay of a generation, each jump in its
// place, and a watcher lives: then a restore changes nothing, such as the one after each start
// of nftables' unit. Without a watcher a backend that is out would stay out for ever.
func (h Host) keepsOverlay(ctx context.Context, kernel iptables.Kernel, good generation.Generation) bool {
	overlay, _ := h.Store().Overlay(good)
	if overlay == nil || overlay.Loading || kernel.Variant != good.Variant || !h.WatcherAlive() {
		return false
	}
	wanted := generation.Wanted{Generation: good, Overlay: overlay}
	observed, err := h.observed(ctx, kernel, wanted, overlay.Tables)
	return err == nil && observed.Hold(overlay.Tables)
}

// dormant returns a note of each table of a generation that the kernel runs nothing of, with
// the line that wakes it.
func (h Host) dormant(kernel iptables.Kernel, loaded generation.Generation) (notes []string) {
	families := slices.DeleteFunc(rules.Families(), func(family rules.Family) bool { return loaded.Tables.Of(family).Empty() })
	dormant, err := kernel.Dormant(families...)
	if err != nil {
		notes = append(notes, err.Error())
	}
	for _, one := range dormant {
		notes = append(notes, one.String()+"; fix: "+one.Fix())
	}
	return notes
}

// FixError is an error with the line that fixes what it is of. Its words do not have that
// line: whoever prints an error puts it last.
type FixError struct {
	error
	Fix string
}

// Unwrap returns the error.
func (e *FixError) Unwrap() error { return e.error }

// loadAgain is what to type when what kept boot from its work is over.
const loadAgain = "natspread restore"

// busyFix adds to an error of a lock that it is enough to do it again.
func busyFix(err error) error {
	if errors.Is(err, program.ErrBusy) {
		return &FixError{err, loadAgain}
	}
	return err
}

// generationFix returns the line that fixes why boot loads no generation, or an older one. A
// file that others may change may be as good as ever; else it takes a new generation.
func generationFix(err error) string {
	if untrusted := new(generation.UntrustedError); errors.As(err, &untrusted) {
		return untrusted.Fix + " && " + loadAgain
	}
	return "natspread apply"
}

// kernelFor returns the kernel by the variant that is in use now, which waits for iptables'
// lock until that time. Rules that were not proven with it, because they were made for the
// other variant or for an image, are proven before they are loaded: their text is the same,
// but what a host can load need not be. Where no scratch namespace can be made, as in the
// unit's sandbox, the load itself is the proof: one transaction, read back, reverted if it
// differs.
func (h Host) kernelFor(ctx context.Context, good generation.Generation, until time.Time) (iptables.Kernel, []string, error) {
	kernel, err := h.Kernel(ctx)
	kernel.Until = until
	same := kernel.Variant == good.Variant
	if err != nil || same && good.Proven {
		return kernel, nil, err
	}
	if err := kernel.ProveAll(ctx, good.Tables); err != nil && !errors.Is(err, iptables.ErrNoNamespace) {
		return iptables.Kernel{}, nil, fmt.Errorf("generation %d was made for the %s variant of iptables and is to be loaded by %s: %w",
			good.Number, good.Variant, kernel.Variant, err)
	}
	if same {
		return kernel, nil, nil
	}
	return kernel, []string{fmt.Sprintf("generation %d was made for the %s variant of iptables; this host loads it by %s",
		good.Number, good.Variant, kernel.Variant)}, nil
}
