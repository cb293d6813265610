package restore

import (
	"context"
	"fmt"
	"path/filepath"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
)

// Host is a machine that natspread works on: the kernel that its programs reach,
// and the files below its root directory.
type Host struct {
	Root    string         // "/", or where every file is below
	Run     program.Runner // Exec(), or a seam
	Variant Variant        // Auto, or the one that the administrator chose
	Version string         // of natspread, for manifests

	// Pools reads what a generation's config spreads, for the connections to what a
	// change takes out of it: package restore knows no config. With nil none is known,
	// and boot never asks.
	Pools func(config []byte) ([]rules.VirtualService, error)
}

// store returns the generations of the host.
func (h Host) store() Store { return Store{Root: h.Root} }

// forwarding returns the host's forwarding switches. They are the kernel's and
// not on disk, so they are the same below every root.
func (h Host) forwarding() forwarding {
	return forwarding{proc: "/proc/sys", runDir: filepath.Join(h.Root, paths.Run)}
}

// lock takes natspread's own lock.
func (h Host) lock(ctx context.Context) (unlock func(), err error) {
	return lock(ctx, filepath.Join(h.Root, paths.Run), lockName)
}

// LockEdit takes the lock of those who read what is to be applied, from the config or
// from what was applied before, and apply it: of two at once the second would undo the
// first. Apply, which has a lock of its own, can be called meanwhile. It waits 5 s, and is
// ErrBusy then. To give the lock back twice does no harm.
func (h Host) LockEdit(ctx context.Context) (unlock func(), err error) {
	return lock(ctx, filepath.Join(h.Root, paths.Run), "lock-edit")
}

// Kernel returns the live tables by the variant that is in use.
func (h Host) Kernel(ctx context.Context) (Kernel, error) {
	if h.Variant == NFT || h.Variant == Legacy {
		return Kernel{Run: h.Run, Variant: h.Variant}, nil
	}
	variant, err := DetectVariant(ctx, h.Run)
	return Kernel{Run: h.Run, Variant: variant}, err
}

// other returns the kernel by the other variant, and whether the host has the
// programs for it.
func (h Host) other(kernel Kernel) (Kernel, bool) {
	kernel.Variant = kernel.Variant.Other()
	return kernel, findProgram("/", programName(rules.IPv4, kernel.Variant, "restore")) != ""
}

// clearOther takes natspread's rules out of the other variant, where they would
// balance a second time. What it cannot read there holds nothing of ours.
func (h Host) clearOther(ctx context.Context, kernel Kernel) (cleared bool, err error) {
	other, present := h.other(kernel)
	if !present {
		return false, nil
	}
	for _, nothing := range rules.NoTables().All() {
		held, err := other.holdsOwn(ctx, nothing)
		if err != nil || !held {
			continue
		}
		seen, err := other.look(ctx, nothing)
		if err == nil {
			_, err = other.load(ctx, seen, nothing)
		}
		if err != nil {
			return cleared, fmt.Errorf("cannot take the rules out of the %s variant: %w", other.Variant, err)
		}
		cleared = true
	}
	return cleared, nil
}

// holdsOwn tells whether a live table has anything of natspread's, where nothing of it
// is wanted.
func (k Kernel) holdsOwn(ctx context.Context, nothing rules.Table) (bool, error) {
	saved, err := k.Read(ctx, nothing)
	if err != nil {
		return false, err
	}
	return len(Differences(saved, nothing)) != 0, nil
}
