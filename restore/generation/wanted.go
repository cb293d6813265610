package generation

import (
	"errors"
	"fmt"
	"maps"

	"natspread/internal/paths"
	"natspread/internal/rules"
)

// Wanted is what the kernel is to hold now, and why.
type Wanted struct {
	Generation Generation // the pending one, or the one that boot ends up with; None where there is neither
	Overlay    *Overlay   // what to hold in place of the tables of Generation; nil for those tables
	Boot       Generation // the one that boot ends up with; None where boot loads nothing
	Fallback   error      // why Boot is not the current one, or why there is none
	Current    int        // the one that boot is to load; 0 for none
	Pending    *Pending   // the one that waits to be confirmed; nil when none does
	Unknown    error      // why it is not known whether one waits
}

// Wanted answers what the kernel is to hold now, for all who load, compare or report. Only
// what was confirmed, or waits for it, is wanted: never a generation that is on disk and
// was not made current.
func (s Store) Wanted() Wanted {
	wanted := s.wanted()
	wanted.Overlay, _ = s.Overlay(wanted.Generation)
	return wanted
}

// wanted is Wanted without the overlay.
func (s Store) wanted() Wanted {
	var wanted Wanted
	var err error
	if wanted.Boot, wanted.Fallback, err = s.Boot(); err != nil {
		wanted.Boot, wanted.Fallback = None(), err
	}
	wanted.Generation = wanted.Boot
	wanted.Current, _ = s.CurrentNumber()
	pending, err := s.Pending()
	switch {
	case errors.Is(err, ErrNothingPending):
		return wanted
	case err != nil:
		wanted.Unknown = err
		return wanted
	case pending.Number == wanted.Current: // a confirm was killed after all it promised
		return wanted
	}
	wanted.Pending = &pending
	if waiting, err := s.ReadPending(pending.Number); err == nil {
		wanted.Generation = waiting
	}
	return wanted
}

// Tables returns what the kernel is to hold: the generation's tables, or those of its overlay.
func (w Wanted) Tables() rules.Tables {
	if w.Overlay != nil {
		return w.Overlay.Tables
	}
	return w.Generation.Tables
}

// Note returns the note of the overlay; nil where there is none.
func (w Wanted) Note() []byte {
	if w.Overlay == nil {
		return nil
	}
	return w.Overlay.Note
}

// StillWanted tells, without reading rules, whether a generation that was read before is still
// the one that the kernel is to hold.
func (s Store) StillWanted(g Generation) bool {
	number, err := s.CurrentNumber()
	if pending, waits := s.Pending(); waits == nil {
		number, err = pending.Number, nil
	} else if !errors.Is(waits, ErrNothingPending) {
		return false
	}
	if err != nil || g.Number == 0 || g.Number != number {
		return false
	}
	manifest, err := s.readManifest(s.waitingDir(number), number)
	return err == nil && maps.Equal(manifest.SHA256, g.SHA256)
}

// Boot returns the generation that boot ends up with: the current one, or when that is not
// good the newest one that is, with the reason.
func (s Store) Boot() (good Generation, fallback, err error) {
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
		fallback = fmt.Errorf("%s is missing", s.Path(paths.Current))
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
