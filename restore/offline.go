package restore

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// WriteOffline writes the tables as a new, current generation below the root and
// touches no kernel: for images. Nothing is proven until restore, when the image
// boots: see kernelFor. Where natspread is at work below the root, it waits its turn.
func (h Host) WriteOffline(ctx context.Context, request Request, variant rules.Variant) (number int, err error) {
	unlock, err := h.lockInUse(ctx)
	if err != nil {
		return 0, unchanged(err)
	}
	defer unlock()
	store := h.Store()
	if _, err := os.Lstat(store.Path(generation.PendingRecord)); err == nil { // an image may be anybody's who bakes it, and trust nobody
		if err := store.RefusePending(); err != nil {
			return 0, unchanged(err)
		}
	}
	if number, err = store.WriteImage(h.generation(request, variant, false)); err != nil {
		return 0, err
	}
	return number, store.SetCurrent(number)
}

// lockInUse is lock below a root where somebody may hold it: an image has no place for it,
// and gets none.
func (h Host) lockInUse(ctx context.Context) (unlock func(), err error) {
	if _, err := os.Stat(h.Store().Path(paths.Run)); errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	return h.lock(ctx)
}
