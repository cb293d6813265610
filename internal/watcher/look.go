package watcher

import (
	"net/netip"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/restore/flows"
)

// lookNow looks at connection tracking. What it finds is counted and logged, and takes no backend
// out: a flood of forged packets must not do that.
func (w *watcher) lookNow(time.Duration) {
	w.findBalanced()
	watched := w.watched()
	w.beside(func() func(time.Duration) {
		seen, err := w.Connections(w.ctx, watched)
		return func(now time.Duration) {
			again := lookEvery
			if seen.Entries > manyEntries {
				again = rareLook
			}
			w.look.end(now, again, 0, restFactor)
			w.report(Warning, ignoreEnd(w.ctx, err))
			if err == nil {
				w.count(seen)
			}
		}
	})
}

// watched returns what to look at.
func (w *watcher) watched() flows.Watched {
	made := flows.Watched{Backends: map[netip.AddrPort]bool{}, Down: map[netip.AddrPort]bool{}}
	for check, backends := range w.backends {
		for _, b := range backends {
			made.Backends[watchedAt(b)] = true
		}
		if check.Type != config.CheckUDP && !w.machine.Up(check) {
			made.Down[check.Target] = true
		}
	}
	return made
}

// watchedAt returns where the connections of a backend are looked for; port 0 is every port.
func watchedAt(b config.Backend) netip.AddrPort {
	if b.Last != 0 {
		b.Port = 0
	}
	return b.AddrPort()
}

// count notes what was seen of each check's backends.
func (w *watcher) count(seen flows.Seen) {
	for check, backends := range w.backends {
		var all flows.Connections
		for _, b := range backends {
			all.Answered += seen.Backends[watchedAt(b)].Answered
			all.Unanswered += seen.Backends[watchedAt(b)].Unanswered
		}
		w.machine.Look(check, all.Answered, all.Unanswered)
		w.noteUnreachable(check, all)
	}
}

// noteUnreachable notes whether a backend is up and no connection to it is answered, and says so once.
func (w *watcher) noteUnreachable(check health.Check, seen flows.Connections) {
	state, _ := w.machine.Of(check)
	if !state.Unreachable() {
		delete(w.unreachable, check)
		return
	}
	if !w.unreachable[check] {
		w.sayUnreachable(w.nameOf(check), seen.Unanswered)
	}
	w.unreachable[check] = true
}
