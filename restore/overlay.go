package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/flows"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Overlay is what the kernel is asked to hold in place of a generation's own tables, until the
// next load of a generation, or the next boot: its tables without the backends that are out, or
// with some that join.
type Overlay struct {
	Base   int          // the generation that it was made from
	Before string       // the sum of the overlay that it was made from (generation.Overlay); "" where there was none
	Tables rules.Tables // complete
	Note   []byte       // who is out, since when and why, for those who report it
	None   bool         // no backend is out any more: load the generation's own tables, and keep no record
}

// Freed says to which backends services sent new connections before an overlay, and send them
// with it. A service that has no backend is left out there; one in which nothing changes may be
// left out of both. Reset of a service says that open TCP connections to a backend that gets no
// new ones are cut.
type Freed struct{ Before, After []rules.VirtualService }

// Errors of LoadOverlay after which the caller has to look anew.
var (
	ErrStale     = errors.New("something else was loaded meanwhile")
	ErrNotLoaded = iptables.ErrNotLoaded
)

// LoadOverlay brings the kernel from what it is to hold to an overlay, or back from one. It
// changes the chains in which both differ, and nothing else: no jump, and no chain that
// somebody edited. The record of the overlay is written first, and reverted with the rules.
func (h Host) LoadOverlay(ctx context.Context, o Overlay, freed Freed) (Result, error) {
	if h.here() == "" {
		return Result{}, unchanged(fmt.Errorf("%w: %w", program.ErrMissing, generation.ErrNoNamespace))
	}
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	began := time.Now()
	unlock, err := h.lock(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()

	waited := time.Since(began)
	standing, err := h.standing(o)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if o.None {
		o.Tables, o.Note = standing.base.Tables, nil
	}
	patch := h.patch(kernel, standing, o.Tables)
	if standing.is(o, patch) {
		return Result{Generation: o.Base, Variant: kernel.Variant, Overlay: o.Before, Waited: waited}, nil
	}
	result, err := h.loadPatch(ctx, kernel, standing, patch, o)
	if err != nil {
		return Result{}, err
	}
	result.Waited = waited
	result.deleteStale(ctx, freed.change(o.Tables))
	return result, nil
}

// standing is what the kernel is to hold, as the disk has it.
type standing struct {
	base    generation.Generation
	overlay *generation.Overlay // nil where it is the base's own tables
	unknown bool                // there is a record, and nobody knows what the kernel was given
}

// standing returns what the kernel is to hold now, or ErrStale if an overlay was made from
// something else.
func (h Host) standing(o Overlay) (standing, error) {
	base := h.wantedGeneration()
	if base.Number != o.Base || base.Number == 0 {
		return standing{}, fmt.Errorf("%w: generation %d, not %d", ErrStale, base.Number, o.Base)
	}
	overlay, present := h.Store().Overlay(base)
	s := standing{base, overlay, present && (overlay == nil || overlay.Loading)}
	if sumOf(overlay) != o.Before {
		return standing{}, fmt.Errorf("%w: another overlay of generation %d", ErrStale, base.Number)
	}
	return s, nil
}

// sumOf names an overlay, "" for none.
func sumOf(overlay *generation.Overlay) string {
	if overlay == nil {
		return ""
	}
	return overlay.Sum
}

// tables returns what the kernel is to hold.
func (s standing) tables() rules.Tables {
	return generation.Wanted{Generation: s.base, Overlay: s.overlay}.Tables()
}

// is tells whether all is as an overlay has it.
func (s standing) is(o Overlay, patch iptables.Patch) bool {
	same := !s.unknown && o.None == (s.overlay == nil)
	for _, names := range patch.Chains {
		same = same && len(names) == 0
	}
	return same && (o.None || bytes.Equal(s.overlay.Note, o.Note))
}

// patch returns what leads from what the kernel is to hold to other tables.
func (h Host) patch(kernel iptables.Kernel, s standing, wanted rules.Tables) iptables.Patch {
	patch := iptables.Patch{Standing: s.tables(), Wanted: wanted, All: s.unknown}
	after := wanted.All()
	for i, before := range patch.Standing.All() {
		changed, names := before.Changes(after[i])
		for _, chain := range changed.Chains {
			names = append(names, chain.Name)
		}
		slices.Sort(names)
		patch.Chains[i] = names
	}
	if ruleset, held := h.stillLoaded(kernel, s.base.Number, sumOf(s.overlay)); held && !patch.All {
		patch.Ruleset = ruleset
	}
	return patch
}

// loadPatch writes the record of an overlay, loads its patch and says so in the record. After
// a failure both are what they were.
func (h Host) loadPatch(ctx context.Context, kernel iptables.Kernel, s standing, patch iptables.Patch, o Overlay) (Result, error) {
	swap, err := h.swapOverlay(s.base, overlayOf(o))
	if err != nil {
		return Result{}, unchanged(err)
	}
	load, err := kernel.Patch(ctx, patch)
	if err != nil {
		return Result{}, revertRecord(err, swap)
	}
	result := Result{Generation: s.base.Number, Variant: kernel.Variant, Changed: true, Loaded: load.Changed, Overlay: swap.Sum}
	result.note(swap.Commit())
	h.recordLoaded(kernel, s.base.Number, swap.Sum, load.Ruleset)
	return result, nil
}

// overlayOf returns an overlay that is to have a record; nil for none.
func overlayOf(o Overlay) *Overlay {
	if o.None {
		return nil
	}
	return &o
}

// swapOverlay begins to put the record of an overlay of a generation in the place of the one
// that is there; nil is for that generation's own tables.
func (h Host) swapOverlay(base generation.Generation, o *Overlay) (generation.OverlaySwap, error) {
	if o == nil {
		return h.Store().DropOverlay(), nil
	}
	return h.Store().WriteOverlay(base, o.Tables, o.Note)
}

// revertRecord puts the record back after a load that failed and was reverted. If it could not
// be reverted, the record goes on to say that nobody knows what the kernel holds.
func revertRecord(err error, swap generation.OverlaySwap) error {
	if left := new(iptables.NotRevertedError); errors.As(err, &left) {
		return err
	}
	return errors.Join(err, swap.Revert())
}

// Memory is what a process that stays keeps of the generation that is wanted, so as not to
// read all of it for each overlay. Any number of goroutines may use it.
type Memory struct {
	mutex sync.Mutex
	base  generation.Generation
}

// wantedGeneration returns the generation that the kernel is to hold. What is remembered was
// read with all checks, and generations never change: so only the manifest is compared.
func (h Host) wantedGeneration() generation.Generation {
	if h.Memory == nil {
		return h.Store().Wanted().Generation
	}
	h.Memory.mutex.Lock()
	defer h.Memory.mutex.Unlock()
	if !h.Store().StillWanted(h.Memory.base) {
		h.Memory.base = h.Store().Wanted().Generation
	}
	return h.Memory.base
}

// change returns what an overlay with those tables makes of tracked connections: of those to
// backends that leave a service, and of UDP that was refused while a service had no backend.
func (f Freed) change(tables rules.Tables) change {
	c := change{Change: flows.Change{Tables: rules.NoTables()}}
	var before, after []rules.VirtualService
	old := make(map[listen]rules.VirtualService, len(f.Before))
	for _, s := range f.Before {
		old[listenOf(s)] = s
	}
	for _, s := range f.After {
		was, found := old[listenOf(s)]
		if !found {
			c.Tables = tables
			continue
		}
		delete(old, listenOf(s))
		stays := make(map[netip.AddrPort]bool, len(s.Backends))
		for _, b := range s.Backends {
			stays[b] = true
		}
		if slices.ContainsFunc(was.Backends, func(b netip.AddrPort) bool { return !stays[b] }) {
			before, after = append(before, was), append(after, s)
		}
	}
	for _, s := range old { // those that have no backend left
		before = append(before, s)
	}
	c.Before, c.After = flows.NewIndex(before), flows.NewIndex(after)
	return c
}

// listen tells one virtual service from every other.
type listen struct {
	protocol string
	address  netip.Addr
	ports    rules.Ports
	family   rules.Family
}

// listenOf returns the listen of a virtual service.
func listenOf(s rules.VirtualService) listen {
	return listen{s.Protocol, s.Address, s.Ports, rules.FamilyOf(s.Backends[0].Addr())}
}
