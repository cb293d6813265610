package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"natspread/internal/configfiles"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/forwarding"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Request is what Apply is to load and keep.
type Request struct {
	Tables   rules.Tables
	Services []byte          // the services file of the tables: rules.EncodeServices
	Config   configfiles.Set // the files that the tables were made from
	Command  string          // the verb, for the manifest
	Now      time.Time       // for the manifest
	DryRun   bool            // prove, and stop before anything is written or loaded
	// Standing is what to load in place of Tables, as the overlay of the new generation: Tables
	// without the backends that are known to be down. Its Base is not read; nil is none.
	Standing *Overlay
	// Exclusive asks to replace the whole nat table of each family that has rules, and
	// holds what is confirmed to vanish by that; nil leaves foreign rules as they are.
	Exclusive *iptables.Foreign
	// TakeOut are rules of others that go in the transactions that load the tables, which replace them.
	TakeOut []rules.Taken
}

// Result says what was done.
type Result struct {
	Generation     int              // the one that is current now; 0 with DryRun
	Variant        rules.Variant    // the one in use
	Changed        bool             // false when there was nothing to do
	Loaded         bool             // the kernel was given something
	Asleep         bool             // the kernel runs nothing of a table that was loaded, as somebody made it dormant
	Cleared        bool             // rules of ours were taken out of the other variant
	Removed        iptables.Foreign // with Exclusive: what vanished, or would with DryRun
	DeletedEntries int              // connection tracking entries that were deleted: their next packets match the new rules
	Fallback       error            // restore only: why an older generation was loaded
	Overlay        string           // LoadOverlay only: the sum of the record that stands now, "" for none
	Waited         time.Duration    // LoadOverlay only: for the lock
	Notes          []string         // what the administrator should know, a sentence each

	// Opened are those of the notes that say which family the host forwards now and did not
	// before.
	Opened []string
}

// There says of a generation that nothing was changed for how it is there.
func (r Result) There() string {
	if r.Asleep {
		return "in the kernel already, which does not run it"
	}
	return "loaded already"
}

// NoteIfChanged adds to a result what is to be said of a change, if there was one.
func (r *Result) NoteIfChanged(notes []string) {
	if r.Changed {
		r.Notes = append(r.Notes, notes...)
	}
}

// open adds to a result which families the switches opened.
func (r *Result) open(opened []forwarding.Opened) {
	for _, one := range opened {
		r.Opened = append(r.Opened, one.String())
	}
	r.Notes = append(r.Notes, r.Opened...)
}

// Apply proves the tables, writes them as a new generation, loads them, reads them
// back, makes them current and switches forwarding on, in this order. A failure at
// any step leaves, or reverts to, what was there before, and its error says so. What
// is current already is not written again, and what is loaded already not loaded. Old
// generations are for the caller to prune, when it holds no lock.
func (h Host) Apply(ctx context.Context, request Request) (Result, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	if request.DryRun {
		notes, err := proofOf(kernel, kernel.ProveAll(ctx, request.Tables))
		return Result{Variant: kernel.Variant, Changed: true, Removed: request.removes(), Notes: notes}, unchanged(err)
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
	result, err := h.applyProven(ctx, kernel, plan)
	if err == nil {
		result.Removed = request.removes()
		result.deleteStale(ctx, plan.change())
	}
	return result, err
}

// removes returns what is confirmed to vanish.
func (r Request) removes() iptables.Foreign {
	if r.Exclusive == nil {
		return iptables.Foreign{}
	}
	return *r.Exclusive
}

// plan is what Apply and Try begin with.
type plan struct {
	wanted   generation.Generation // with the number and tables of the current one if that serves
	overlay  *Overlay              // what to load in place of the tables of wanted; nil for those
	done     bool                  // the kernel holds it and it is current: there is nothing to do
	observed iptables.Snapshots    // what stands in the kernel
	change   func() change
	// proof waits for the proof of wanted, which runs already, and returns what the administrator
	// should know. Whatever fails, proof has to be called, and before anything is loaded.
	proof func() (notes []string, err error)
}

// tables returns what is to be loaded.
func (p plan) tables() rules.Tables {
	if p.overlay != nil {
		return p.overlay.Tables
	}
	return p.wanted.Tables
}

// plan reads what there is and begins to prove what is wanted. While a generation waits to be
// confirmed nothing is planned.
func (h Host) plan(ctx context.Context, kernel iptables.Kernel, request Request) (planned plan, err error) {
	if err := h.Store().RefusePending(); err != nil {
		return plan{}, unchanged(err)
	}
	_ = h.Store().Sweep() // also where nothing changes; whoever writes there says what cannot be removed
	before := h.Store().Wanted()
	current := before.Generation
	planned.wanted, planned.overlay = h.generation(request, kernel.Variant, true), request.Standing
	if before.Fallback == nil && len(request.TakeOut) == 0 && current.Outdated(planned.wanted) == "" {
		planned.wanted.Number, planned.wanted.Tables = current.Number, current.Tables
		alone := request.Exclusive == nil || request.Exclusive.Len() == 0
		if alone {
			planned.done, err = h.inSync(ctx, kernel, before)
		}
		if planned.done || err != nil {
			return planned, unchanged(err)
		}
	}
	loaded := planned.wanted
	loaded.Tables = planned.tables()
	planned.change = h.changeLater(current, loaded)
	switch {
	case request.Exclusive != nil:
		planned.observed, err = kernel.SnapshotsWhole(ctx, *request.Exclusive, planned.tables())
	case len(request.TakeOut) > 0:
		planned.observed, err = kernel.SnapshotsWithout(ctx, request.TakeOut, planned.tables())
		planned.wanted.TakenOut = planned.observed.Taken()
	default:
		planned.observed, err = h.observed(ctx, kernel, before, planned.tables())
	}
	if err != nil {
		return plan{}, unchanged(err)
	}
	tables := planned.wanted.Tables
	planned.proof = sync.OnceValues(func() ([]string, error) {
		return proofOf(kernel, kernel.ProveChange(ctx, proven(current, kernel.Variant), tables))
	})
	go planned.proof()
	return planned, nil
}

// observed returns the live tables: as recorded, if the kernel still holds what it was last
// read to hold, else as they are read now.
func (h Host) observed(ctx context.Context, kernel iptables.Kernel, before generation.Wanted, tables rules.Tables) (iptables.Snapshots, error) {
	if ruleset, held := h.stillLoaded(kernel, before.Generation.Number, sumOf(before.Overlay)); held {
		return kernel.SnapshotsOf(ctx, before.Tables(), ruleset)
	}
	return kernel.Snapshots(ctx, tables)
}

// proven returns the tables of a generation that were proven with a variant on this
// host.
func proven(g generation.Generation, variant rules.Variant) rules.Tables {
	if !g.Proven || g.Variant != variant {
		return rules.NoTables()
	}
	return g.Tables
}

// generation returns the generation that a request asks for, as yet without its
// number and checksums. Also a rollback to a generation of natspread 0.1 makes one whose
// jumps carry no comment.
func (h Host) generation(request Request, variant rules.Variant, proven bool) generation.Generation {
	tables := request.Tables
	for _, table := range tables.Places() {
		table.CommentedJumps = false
	}
	return generation.Generation{
		Tables:   tables,
		Services: request.Services,
		Config:   request.Config,
		Manifest: generation.Manifest{
			Created: request.Now.UTC().Truncate(time.Second), Command: request.Command,
			Version: h.Version, Variant: variant, Proven: proven,
		},
	}
}

// proofOf returns what a proof ended with. Where no scratch namespace can be made, for want of
// CAP_SYS_ADMIN, as in many containers, and only there, the load itself is the proof, and that
// is a note: each table is loaded in one transaction, read back, and reverted if it differs.
func proofOf(kernel iptables.Kernel, err error) (notes []string, _ error) {
	if !errors.Is(err, iptables.ErrNoNamespace) || !errors.Is(err, program.ErrNoRights) {
		return nil, err
	}
	return []string{"not proven before the load: no CAP_SYS_ADMIN"}, kernel.CanLoad()
}

// unchanged adds to an error, if there is one, what the administrator most wants to know.
func unchanged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; nothing was changed", err)
}

// inSync tells whether the kernel holds what it is to hold and forwards it, so that a load
// would change nothing: also each jump in its place, before foreign rules.
func (h Host) inSync(ctx context.Context, kernel iptables.Kernel, wanted generation.Wanted) (bool, error) {
	observed, err := h.observed(ctx, kernel, wanted, wanted.Tables())
	if err != nil || !observed.Hold(wanted.Tables()) {
		return false, err
	}
	ours, _ := h.otherHolds(ctx, kernel)
	return len(ours)+len(h.notForwarded(wanted.Tables())) == 0, nil
}

// applyProven takes the steps of Apply that leave traces, and reverts them when one
// fails. A generation that has a number already is current.
func (h Host) applyProven(ctx context.Context, kernel iptables.Kernel, plan plan) (Result, error) {
	publication, proven, err := h.prepareProven(plan)
	if err != nil {
		return Result{}, unchanged(err)
	}
	kept, forget, err := h.keepReplaced(kernel, plan.observed)
	if err != nil {
		return Result{}, unchanged(errors.Join(err, publication.Abandon()))
	}
	plan.wanted.Number = publication.Number
	swap, err := h.swapOverlay(plan.wanted, plan.overlay)
	if err != nil {
		return Result{}, unchanged(errors.Join(err, forget(), publication.Abandon()))
	}
	load, err := kernel.Load(ctx, plan.observed, plan.tables())
	if err != nil {
		if left := new(iptables.NotRevertedError); !errors.As(err, &left) {
			err = errors.Join(err, forget(), swap.Revert())
		}
		return Result{}, errors.Join(err, publication.Abandon())
	}
	revert := func(ctx context.Context) error {
		err := load.Revert(ctx)
		if err == nil {
			err = errors.Join(forget(), swap.Revert())
		}
		return errors.Join(err, publication.Abandon())
	}
	if err := publication.Publish(); err != nil {
		return Result{}, iptables.Revert(ctx, err, revert)
	}
	opened, err := h.forwarding().Set(plan.wanted.Tables)
	if err != nil {
		return Result{}, iptables.Revert(ctx, err, revert)
	}
	result := Result{Generation: publication.Number, Variant: kernel.Variant, Changed: true, Loaded: load.Changed, Notes: append(proven, kept...)}
	result.Notes = append(result.Notes, h.Store().TakenOutNotes(publication.Number, kernel.Variant)...)
	result.open(opened)
	// The change stands from here on: what is left is housekeeping, and its
	// failure is reported and reverts nothing.
	result.note(swap.Commit())
	h.recordLoaded(kernel, publication.Number, swap.Sum, load.Ruleset)
	result.Cleared, err = h.clearOther(ctx, kernel)
	result.note(err)
	return result, nil
}

// prepareProven writes the generation of a plan while it is proven.
func (h Host) prepareProven(plan plan) (publication generation.Publication, notes []string, err error) {
	notes, err = h.whileProven(plan, func() (err error) {
		publication, err = h.Store().Prepare(plan.wanted)
		return err
	}, func() error { return publication.Abandon() })
	return publication, notes, err
}

// whileProven writes the generation of a plan while it is proven, as a proof leaves the disk alone.
// Nobody reads a generation that is not current. Where the proof fails, the generation is removed
// with the directories that were made for it, and only the proof's error is returned.
func (h Host) whileProven(plan plan, write, remove func() error) (notes []string, err error) {
	revertDirectories := h.Store().RevertDirectories()
	err = write()
	notes, failed := plan.proof()
	if failed != nil && err == nil {
		failed = errors.Join(failed, remove())
	}
	if err = cmp.Or(failed, err); err != nil {
		revertDirectories()
	}
	return notes, err
}

// note adds an error to a result as a note: the change stands without that step. nil adds none.
func (r *Result) note(err error) {
	if err != nil {
		r.Notes = append(r.Notes, err.Error())
	}
}
