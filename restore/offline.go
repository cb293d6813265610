package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// Written is a generation in an image.
type Written struct {
	Number  int
	Changed bool     // false where the image had it
	Notes   []string // why boot would not load it
}

// WriteOffline writes the tables as a new, current generation below the root, unless the
// current one is the same, and touches no kernel: for images. Nothing is proven until restore,
// when the image boots: see kernelFor. While natspread is at work below the root, it waits its
// turn.
func (h Host) WriteOffline(ctx context.Context, request Request, variant rules.Variant) (Written, error) {
	unlock, err := h.lockInUse(ctx)
	if err != nil {
		return Written{}, unchanged(err)
	}
	defer unlock()
	store := h.Store()
	if _, err := os.Lstat(store.Path(generation.PendingRecord)); err == nil { // an image may be anybody's who bakes it, and trust nobody
		if err := store.RefusePending(); err != nil {
			return Written{}, unchanged(err)
		}
	}
	wanted := h.generation(request, variant, false)
	number, held := store.Holds(wanted)
	if !held {
		if number, err = store.WriteImage(wanted); err != nil {
			return Written{}, err
		}
		if err := store.SetCurrent(number); err != nil {
			return Written{}, err
		}
	}
	return Written{number, !held, refusedAtBoot(store, number)}, nil
}

// WriteFactory is WriteOffline for an image whose /var is empty at each boot: the generation
// goes below /usr, from where systemd-tmpfiles copies it before the unit starts.
func (h Host) WriteFactory(ctx context.Context, request Request, variant rules.Variant) (Written, error) {
	factory, err := atomicfile.Resolve(h.Root, paths.Factory, nil)
	if err == nil {
		err = atomicfile.MkdirAll(factory, 0o755)
	}
	if err != nil {
		return Written{}, unchanged(err)
	}
	h.Root = factory
	return h.WriteOffline(ctx, request, variant)
}

// refusedAtBoot says why boot would not load a generation that is in an image.
func refusedAtBoot(store generation.Store, number int) []string {
	_, err := store.Read(number)
	untrusted := new(generation.UntrustedError)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &untrusted):
		return []string{"boot would refuse it, unless the image is packed as root's: " + untrusted.Below()}
	}
	return []string{fmt.Sprintf("boot would refuse it: %v", err)}
}

// lockInUse is lock below a root where somebody may hold it: an image has no place for it,
// and gets none.
func (h Host) lockInUse(ctx context.Context) (unlock func(), err error) {
	if _, err := os.Stat(h.Store().Path(paths.Run)); errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	return h.lock(ctx)
}
