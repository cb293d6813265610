package restore

import (
	"context"
	"fmt"
	"time"

	"natspread/internal/namespace"
	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/forwarding"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Host is a machine that natspread works on: the kernel that its programs reach,
// and the files below its root directory.
type Host struct {
	Root    string         // "/", or where every file is below
	Run     program.Runner // Locks.Exec(), or a seam
	Variant rules.Variant  // Auto, or the one that the administrator chose
	Version string         // of natspread, for manifests

	// Locks are those that the programs of Run share: with it, what is run under the lock is
	// run under it, too, when this process is killed. nil is for seams that start no program.
	Locks *program.Locks
	// Wait is for how long Restore waits for the locks, natspread's and iptables' together,
	// before it is ErrBusy; 0 is LockTimeout for each.
	Wait time.Duration

	// Memory is for a process that loads overlays again and again; without it, each load reads
	// the whole generation.
	Memory *Memory

	// Services says what generations balance that have no services file, by number: those of
	// natspread 0.1. They are values, read from the generations' own configs by those who
	// know configs; boot needs none.
	Services map[int][]rules.VirtualService
}

// Store returns the generations of the host. What is in /run counts only in the network
// namespace that it is of.
func (h Host) Store() generation.Store { return generation.Store{Root: h.Root, Namespace: h.here()} }

// here names the network namespace that this process is in; "" where that is not known:
// before Linux 5.14 there are no cookies.
func (h Host) here() string {
	id, err := namespace.ID(h.runDir())
	if err != nil {
		return ""
	}
	return id
}

// forwarding returns the host's forwarding switches. They are the kernel's and
// not on disk, so they are the same below every root.
func (h Host) forwarding() forwarding.Switches {
	return forwarding.Switches{Proc: "/proc/sys", Run: h.runDir(), Namespace: h.here()}
}

// runDir returns the directory of what a reboot forgets.
func (h Host) runDir() string { return generation.Store{Root: h.Root}.Path(paths.Run) }

// lock takes natspread's own lock, and has the programs share it that are run until it is
// given back. It removes what killed runs left in the run directory.
func (h Host) lock(ctx context.Context) (unlock func(), err error) {
	return h.lockFor(ctx, LockTimeout)
}

// lockFor is lock that waits for another time.
func (h Host) lockFor(ctx context.Context, wait time.Duration) (unlock func(), err error) {
	file, err := h.lockFile(ctx, lockName, wait)
	if err != nil {
		return nil, err
	}
	h.Store().SweepRun()
	release := h.Locks.Share(file)
	return func() {
		release()
		file.Close()
	}, nil
}

// LockEdit takes the lock of those who read what is to be applied, from the config or
// from what was applied before, and apply it: of two at once the second would revert the
// first. Apply, which has a lock of its own, can be called meanwhile. It waits 5 s, and is
// ErrBusy then. To give the lock back twice does no harm.
func (h Host) LockEdit(ctx context.Context) (unlock func(), err error) {
	file, err := h.lockFile(ctx, "lock-edit", LockTimeout)
	if err != nil {
		return nil, err
	}
	return func() { file.Close() }, nil
}

// Kernel returns the live tables by the variant that is in use.
func (h Host) Kernel(ctx context.Context) (iptables.Kernel, error) {
	if h.Variant == rules.NFT || h.Variant == rules.Legacy {
		return h.kernel(h.Variant), nil
	}
	variant, err := iptables.DetectVariant(ctx, h.Run)
	return h.kernel(variant), err
}

// kernel returns the live tables by a variant. What their rules counted is kept when the rules
// are taken out; where it cannot be kept, the load goes on all the same.
func (h Host) kernel(variant rules.Variant) iptables.Kernel {
	return iptables.Kernel{Run: h.Run, Variant: variant, Counting: func(counts []rules.Count) func(bool) {
		store := h.Store()
		if store.BeginCounts(counts) != nil {
			return func(bool) {}
		}
		return func(gone bool) { _ = store.EndCounts(gone) }
	}}
}

// CanLoad is an error unless the rights are there to load rules. Apply asks before it writes;
// it is for those who write something of their own first.
func (h Host) CanLoad(ctx context.Context) error {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return err
	}
	return kernel.CanLoad()
}

// loadOwn brings a kernel to a generation's own tables, from whatever it holds. The record of an
// overlay is dropped with the load.
func (h Host) loadOwn(ctx context.Context, kernel iptables.Kernel, tables rules.Tables) (iptables.Loaded, error) {
	observed, err := kernel.Snapshots(ctx, tables)
	if err != nil {
		return iptables.Loaded{}, unchanged(err)
	}
	swap := h.Store().DropOverlay()
	load, err := kernel.Load(ctx, observed, tables)
	if err != nil {
		return iptables.Loaded{}, revertRecord(err, swap)
	}
	if err := swap.Commit(); err != nil {
		return iptables.Loaded{}, fmt.Errorf("the rules are loaded, but %w", err)
	}
	return load, nil
}

// other returns the kernel by the other variant, and whether the host has the
// programs for it.
func (h Host) other(kernel iptables.Kernel) (iptables.Kernel, bool) {
	kernel.Variant = kernel.Variant.Other()
	return kernel, program.Find("/", rules.Program(rules.IPv4, kernel.Variant, "restore")) != ""
}

// clearOther takes natspread's rules out of the other variant, where they would
// balance a second time.
func (h Host) clearOther(ctx context.Context, kernel iptables.Kernel) (cleared bool, err error) {
	other, present := h.other(kernel)
	if !present {
		return false, nil
	}
	return other.Clear(ctx)
}

// loaded returns what would be recorded of a kernel that holds a generation now, or an
// overlay of it.
func (h Host) loaded(kernel iptables.Kernel, number int, overlay string, ruleset uint32) generation.Loaded {
	return generation.Loaded{Generation: number, Overlay: overlay, Variant: kernel.Variant, Ruleset: ruleset, Namespace: h.here()}
}

// recordLoaded keeps that the kernel holds a generation, or an overlay of it, if the number of
// its ruleset is known.
func (h Host) recordLoaded(kernel iptables.Kernel, number int, overlay string, ruleset uint32) {
	h.Store().RecordLoaded(h.loaded(kernel, number, overlay, ruleset))
}

// stillLoaded tells whether the kernel still holds a generation, or an overlay of it, that it
// was read to hold, and the number of its ruleset.
func (h Host) stillLoaded(kernel iptables.Kernel, number int, overlay string) (ruleset uint32, held bool) {
	ruleset = kernel.RulesetID()
	return ruleset, h.Store().StillLoaded(h.loaded(kernel, number, overlay, ruleset))
}
