package watcher

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
)

// following is what the watcher knows of what is to be held.
type following struct {
	held  Standing
	good  bool  // held could be read, and is still what is to be held
	signs Signs // when it was read
	looks time.Duration

	users    map[health.Check][]int            // places of services in held.Config
	backends map[health.Check][]config.Backend // one for each address and port
	balanced map[health.Check]string
	read     job
	present  job
	absent   bool // nothing of natspread's is loaded
}

// follow looks whether something else is to be held, and reads it then. While a load is under way
// it does not look: the load changes the same files.
func (w *watcher) follow(now time.Duration) (next time.Duration) {
	if w.pace.loading || w.read.running {
		return never
	}
	if now < w.looks {
		return w.looks
	}
	w.looks = now + followEvery
	if w.ready && len(w.users) == 0 {
		w.looks = now + idleEvery
	}
	signs := w.Signs()
	another := signs.differ(w.signs)
	if another || !w.ready {
		w.read.hurry(now)
	}
	if w.ready && signs != w.signs {
		w.present.hurry(now)
	}
	w.signs.Ruleset = signs.Ruleset
	next = w.read.step(now, !w.good || another, func(time.Duration) { w.readNow(signs) })
	return min(next, w.looks, w.present.step(now, w.ready && w.held.Generation != 0, w.presentNow))
}

// readNow reads what is to be held, with signs of before.
func (w *watcher) readNow(signs Signs) {
	w.beside(func() func(time.Duration) {
		standing, err := w.Read()
		return func(now time.Duration) {
			w.read.end(now, rereadEvery, 0, 1)
			w.signs = signs
			w.looks = now
			switch {
			case err == nil:
				w.hold(now, standing)
			case !w.ready:
				w.failure = err
			default: // the old states and rules are better than none
				w.good = false
				w.report(Error, err)
			}
		}
	})
}

// hold goes on with what is to be held. States stay with their checks.
func (w *watcher) hold(now time.Duration, standing Standing) {
	another := !w.ready || standing.Generation != w.held.Generation
	w.held, w.good = standing, true
	if !w.ready {
		w.machine.Learn(standing.Note.Records(standing.Config))
	}
	if another {
		checks := health.Checks(standing.Config)
		w.machine.Keep(now, checks)
		w.schedule.Set(now, checks)
		w.users, w.backends = health.Users(standing.Config), backendsOf(standing.Config)
		w.absent = false
		w.pace.hurry(now)
		w.sayStart(standing.Generation, len(checks), len(standing.Config.Services), w.downs(checks))
	}
	w.findBalanced()
	w.chooseAll()
	w.wantLoad(now)
	w.write.hurry(now)
	w.metrics.hurry(now)
	if !w.ready {
		w.ready = true
		w.Notify("READY=1")
	}
}

// downs names those of checks that are down.
func (w *watcher) downs(checks []health.Check) []string {
	var names []string
	for _, check := range checks {
		if !w.machine.Up(check) {
			names = append(names, w.nameOf(check))
		}
	}
	return names
}

// backendsOf returns the backends that each check is made for, those of one address and port once.
func backendsOf(cfg config.Config) map[health.Check][]config.Backend {
	type place struct {
		check   health.Check
		address netip.AddrPort
	}
	all, seen := map[health.Check][]config.Backend{}, map[place]bool{}
	for _, s := range cfg.Services {
		for _, b := range s.Backends {
			c, checked := health.Of(s, b)
			if at := (place{c, b.AddrPort()}); checked && !seen[at] {
				seen[at] = true
				all[c] = append(all[c], b)
			}
		}
	}
	return all
}

// findBalanced finds checks that a service would balance by the addresses that this host has now.
func (w *watcher) findBalanced() {
	own, err := w.Addresses()
	w.report(Warning, err)
	w.balanced = balancedOf(w.held.Config, maps.Keys(w.users), own)
}

// balancedOf finds checks that a service would balance, and says so of each: it listens to "*",
// and the backend is an address of this host. Even a dead one would get an answer then.
func balancedOf(cfg config.Config, checks iter.Seq[health.Check], addresses []netip.Addr) map[health.Check]string {
	balanced, own := map[health.Check]string{}, map[netip.Addr]bool{}
	for _, address := range addresses {
		own[address] = !address.IsLoopback() // the host's own localhost services stay its own
	}
	for check := range checks {
		if !own[check.Target.Addr()] {
			continue
		}
		for s, byAny := range cfg.Listening(check.Type.Protocol(), check.Target) {
			if byAny && s.Local {
				balanced[check] = fmt.Sprintf("its check would be balanced by service %q", s.Name)
			}
		}
	}
	return balanced
}

// presentNow looks whether rules of natspread's are loaded at all. Where somebody took them away
// nothing is put back: it may have been on purpose.
func (w *watcher) presentNow(time.Duration) {
	w.beside(func() func(time.Duration) {
		present, err := w.Present(w.ctx)
		return func(now time.Duration) {
			w.present.end(now, presentEvery, time.Second, costlyFactor)
			if w.signs.Ruleset != 0 {
				w.present.next = never // until the number changes
			}
			w.report(Warning, ignoreEnd(w.ctx, err))
			if err == nil {
				w.setAbsent(!present)
			}
		}
	})
}

// setAbsent notes whether nothing of natspread's is loaded. A load that is wanted waits meanwhile.
func (w *watcher) setAbsent(absent bool) {
	if absent && !w.absent {
		w.print(Warning, "nothing of natspread's is loaded: checking goes on, rules are left alone")
	}
	w.absent = absent
}

// ignoreEnd leaves out an error that comes only of the end of the watcher.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
