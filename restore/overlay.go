package restore

import (
	"context"
	"errors"
	"fmt"

	"natspread/internal/rules"
)

// Overlay is what the kernel is to hold in place of a generation's own tables, until the next
// load of a generation, or the next boot: its tables, but for the backends that are out, or
// join.
type Overlay struct {
	Base   int          // the generation that it was made from
	Tables rules.Tables // complete
	Note   []byte       // who is out, since when and why, for those who report it
	None   bool         // nobody is out any more: the generation's own tables, and no record
}

// Freed says what the services of an overlay spread their connections to before it, and then:
// only services that differ count. Reset there is what becomes of open TCP connections.
type Freed struct{ Before, After []rules.VirtualService }

// Errors of LoadOverlay after which the caller has to look anew.
var (
	ErrStale     = errors.New("another generation is loaded now")
	ErrNotLoaded = errors.New("nothing of natspread's is loaded")
)

// LoadOverlay brings the kernel from what it is to hold now to an overlay, or back from one.
func (h Host) LoadOverlay(ctx context.Context, o Overlay, freed Freed) (Result, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return Result{}, unchanged(err)
	}
	defer unlock()
	wanted := h.Store().Wanted().Generation
	if wanted.Number != o.Base {
		return Result{}, unchanged(fmt.Errorf("%w: %d, not %d", ErrStale, wanted.Number, o.Base))
	}
	tables := o.Tables
	if o.None {
		tables = wanted.Tables
	}
	load, err := loadAll(ctx, kernel, tables)
	if err != nil {
		return Result{}, err
	}
	return Result{Generation: o.Base, Variant: kernel.Variant, Changed: load.Changed, Loaded: load.Changed}, nil
}
