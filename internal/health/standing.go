package health

import (
	"time"

	"natspread/internal/config"
)

// MostBeatAge is how old a record may be while its watcher lives: it writes one every 10 s. One
// that is older is of a watcher that hangs.
const MostBeatAge = time.Minute

// Standing returns a config as it is to be rendered at once, by what a living watcher knows,
// and what that overlay is to say of itself: so a load of a new config sends nothing to
// backends that are known to be down already. It is not found where the record is too old, and
// where nobody is down.
func (r Record) Standing(now time.Duration, cfg config.Config) (made config.Config, note Note, found bool) {
	if age := now - r.Beat; age < 0 || age > MostBeatAge {
		return config.Config{}, Note{}, false
	}
	m := NewMachine(r.Checks)
	m.Keep(now, Checks(cfg))
	made, note = m.Overlay(cfg, Note{})
	return made, note, !note.None()
}
