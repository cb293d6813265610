package restore

import (
	"context"
	"errors"
	"fmt"

	"natspread/internal/paths"
	"natspread/internal/rules"
)

// Restore puts the current generation into the kernel and switches forwarding on:
// what the unit does at boot. A current generation that is not good gives way to
// the newest good one; then everything is done with that one, and the error still
// says why. It reads no config.
func (h Host) Restore(ctx context.Context) (Result, error) {
	unlock, err := h.lock(ctx)
	switch {
	case readOnly(err):
		unlock = func() {} // nobody can apply there either
	case err != nil:
		return Result{}, unchanged(err)
	}
	defer unlock()

	generation, fallback, err := h.store().newestGood()
	if err != nil {
		return Result{}, unchanged(err)
	}
	kernel, notes, err := h.kernelFor(ctx, generation)
	if err != nil {
		return Result{}, unchanged(err)
	}
	seen, err := kernel.lookAll(ctx, generation.Tables)
	if err != nil {
		return Result{}, err
	}
	load, err := kernel.loadAll(ctx, seen, generation.Tables)
	if err != nil {
		return Result{}, err
	}
	h.remember(kernel, generation.Generation, load.ruleset)
	result := Result{
		Generation: generation.Generation, Variant: kernel.Variant,
		Changed: load.changed, Loaded: load.changed, Fallback: fallback, Notes: notes,
	}
	if kernel.Variant != generation.Variant {
		if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
			result.Notes = append(result.Notes, err.Error())
		}
	}
	if load.changed {
		result.settle(ctx, settlement{tables: generation.Tables})
	}
	if err := h.forwarding().set(generation.Tables); err != nil {
		return result, fmt.Errorf("the rules are loaded, but nothing is forwarded: %w", err)
	}
	result.Notes = append(result.Notes, h.store().endTrial()...)
	if fallback != nil {
		return result, fmt.Errorf("fell back to generation %d: %w", generation.Generation, fallback)
	}
	return result, nil
}

// newestGood returns the current generation, or when that is not good the newest
// one that is, with the reason.
func (s Store) newestGood() (good Generation, fallback, err error) {
	current, err := s.CurrentNumber()
	if err == nil {
		if good, err = s.Read(current); err == nil {
			return good, nil, nil
		}
	}
	fallback = err
	numbers, err := s.Numbers()
	if err != nil {
		return Generation{}, nil, err
	}
	if errors.Is(fallback, ErrNone) {
		if len(numbers) == 0 {
			return Generation{}, nil, ErrNone
		}
		fallback = fmt.Errorf("%s is missing", s.path(paths.Current))
	}
	for _, number := range numbers {
		if number == current {
			continue
		}
		if good, err = s.Read(number); err == nil {
			return good, fallback, nil
		}
	}
	return Generation{}, nil, fmt.Errorf("no good generation is left: %w", fallback)
}

// kernelFor returns the kernel by the variant that is in use now. Rules that were
// not proven with it, because they were made for the other variant or for an image,
// are proven before they are loaded: their text is the same, but what a host can
// load need not be. Where no scratch namespace can be made, as in the unit's sandbox,
// the load itself is the proof: one transaction, read back, undone if it differs.
func (h Host) kernelFor(ctx context.Context, generation Generation) (Kernel, []string, error) {
	kernel, err := h.Kernel(ctx)
	same := kernel.Variant == generation.Variant
	if err != nil || same && generation.Proven {
		return kernel, nil, err
	}
	if err := kernel.ProveAll(ctx, generation.Tables); err != nil && !errors.Is(err, errNoNamespace) {
		return Kernel{}, nil, fmt.Errorf("generation %d was made for the %s variant of iptables and is to be loaded by %s: %w",
			generation.Generation, generation.Variant, kernel.Variant, err)
	}
	if same {
		return kernel, nil, nil
	}
	return kernel, []string{fmt.Sprintf("generation %d was made for the %s variant of iptables; this host loads it by %s",
		generation.Generation, generation.Variant, kernel.Variant)}, nil
}

// Stop takes natspread's chains and jumps out of the kernel, of both variants, and puts
// forwarding back as it was found. The generations stay. UDP goes to a backend no more;
// other connections that are open are not cut.
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

	seen, err := kernel.lookAll(ctx, rules.NoTables())
	if err != nil {
		return Result{}, err
	}
	load, err := kernel.loadAll(ctx, seen, rules.NoTables())
	if err != nil {
		return Result{}, err
	}
	result := Result{Variant: kernel.Variant, Changed: load.changed, Loaded: load.changed}
	if result.Cleared, err = h.clearOther(ctx, kernel); err != nil {
		return result, err
	}
	if result.Changed = result.Changed || result.Cleared; result.Changed {
		change := h.settlement(h.store().loaded(), Generation{Tables: rules.NoTables()})
		change.spares = true // nothing was taken out of the config
		result.settle(ctx, change)
	}
	if err := h.forwarding().set(rules.NoTables()); err != nil {
		return result, fmt.Errorf("the rules are gone, but %w", err)
	}
	result.Notes = append(result.Notes, h.store().endTrial()...)
	if result.Changed && !kernel.foreignRules(ctx) {
		result.Notes = append(result.Notes, "no other rule stands in the nat table: unless some other table keeps connection tracking on, balanced connections that were still open end now")
	}
	return result, nil
}

// loaded returns the generation that the kernel should hold: the one that waits to be
// confirmed, or the one that boot loads.
func (s Store) loaded() Generation {
	if pending, err := s.Pending(); err == nil {
		if waiting, err := s.readWaiting(pending.Generation); err == nil {
			return waiting
		}
	}
	good, _ := s.current()
	return good
}

// foreignRules tells whether the nat table of either family has rules that are
// not ours, which keep connection tracking switched on.
func (k Kernel) foreignRules(ctx context.Context) bool {
	for _, family := range rules.Families() {
		saved, err := k.Read(ctx, rules.Table{Family: family})
		if err == nil && foreignRules(saved) > 0 {
			return true
		}
	}
	return false
}
