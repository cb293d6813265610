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
// backends that are known to be down already. loaded is the note of the overlay that is loaded
// now; it may be newer than the record. found is false where the record is too old, and where no
// backend is down.
func (r Record) Standing(now time.Duration, cfg config.Config, loaded Note) (made config.Config, note Note, found bool) {
	if age := now - r.Beat; age < 0 || age > MostBeatAge {
		return config.Config{}, Note{}, false
	}
	m := NewMachine(r.Checks)
	m.Learn(loaded.Records(cfg))
	m.Keep(now, Checks(cfg))
	made, note = m.Overlay(cfg, Note{})
	return made, note, !note.None()
}

// Records returns what the note says of the checks of a config: who is out, and not drained by
// hand, is down. A note is never older than the rules. The record of a watcher may be older, or
// be lost.
func (n Note) Records(cfg config.Config) []CheckRecord {
	type member struct{ service, backend string }
	outs := map[member]OutNote{}
	for _, s := range n.Services {
		for _, out := range s.Out {
			if out.Reason != ByHand {
				outs[member{s.Name, out.Backend}] = out
			}
		}
	}
	var all []CheckRecord
	for _, s := range cfg.Services {
		for _, b := range s.Backends {
			out, is := outs[member{s.Name, b.String()}]
			if check, checked := Of(s, b); checked && is {
				all = append(all, CheckRecord{Check: check, State: Down, Since: out.Since, Reason: out.Reason})
			}
		}
	}
	return all
}

// Learn takes over who is down by records, where nothing newer is known.
func (m *Machine) Learn(records []CheckRecord) {
	for _, r := range records {
		c, known := m.known[r.Check]
		switch {
		case !known:
			m.add(&condition{CheckRecord: r})
		case c.State != Down && c.Since < r.Since:
			c.State, c.Since, c.Reason, c.streak = r.State, r.Since, r.Reason, 0
		}
	}
}
