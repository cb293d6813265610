package watcher

import (
	"errors"
	"slices"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/rules"
	"natspread/render"
	"natspread/restore"
)

// loading is which backends the services use, and what is not loaded of that.
type loading struct {
	pace    pace
	said    []health.ServiceNote // what the last choice says of each
	loaded  []health.ServiceNote // what the overlay says of each
	differs map[int]bool         // places of services that are to use others than the overlay says
}

// change is what a new choice changed for a service.
type change struct {
	service  string
	minUp    int
	was, now health.Mode
	up, of   int // primaries
}

// chooseAll has every service choose, after something else is to be held.
func (w *watcher) chooseAll() {
	services := w.held.Config.Services
	byName := make(map[string]health.ServiceNote, len(w.held.Note.Services))
	for _, said := range w.held.Note.Services {
		byName[said.Name] = said
	}
	w.differs = map[int]bool{}
	w.said, w.loaded = make([]health.ServiceNote, len(services)), make([]health.ServiceNote, len(services))
	for i, s := range services {
		w.loaded[i] = byName[s.Name]
		w.choose(i)
	}
}

// choose has a service choose anew.
func (w *watcher) choose(i int) change {
	s := w.held.Config.Services[i]
	choice, said := w.machine.Choose(s, w.loaded[i].Drained())
	made := change{service: s.Name, minUp: max(s.MinUp, 1), was: w.said[i].Mode, now: choice.Mode, up: choice.Up, of: choice.Of}
	w.said[i] = said
	w.compare(i)
	return made
}

// compare notes whether a service is to use other backends than the overlay says.
func (w *watcher) compare(i int) {
	if sameUse(w.said[i], w.loaded[i]) {
		delete(w.differs, i)
	} else {
		w.differs[i] = true
	}
}

// sameUse tells whether two notes of a service have the same backends used.
func sameUse(a, b health.ServiceNote) bool {
	return slices.Equal(usedNames(a), usedNames(b))
}

// usedNames returns the backends that a note names, in an order that is always the same.
func usedNames(said health.ServiceNote) []string {
	names := make([]string, 0, len(said.Out)+len(said.Joined))
	for _, out := range said.Out {
		names = append(names, "-"+out.Backend)
	}
	for _, joined := range said.Joined {
		names = append(names, "+"+joined)
	}
	slices.Sort(names)
	return names
}

// wantLoad asks for a load where services are to use others than they do, and takes that back
// where none is any more.
func (w *watcher) wantLoad(now time.Duration) {
	if len(w.differs) == 0 && !w.held.Unsure {
		w.pace.wanted = false
		return
	}
	w.pace.want(now)
}

// loadsSoon tells whether a load is on its way that did not fail before.
func (w *watcher) loadsSoon() bool {
	return (w.pace.wanted || w.pace.loading) && w.pace.retry == 0 && w.good && !w.absent
}

// load begins a load if one is due.
func (w *watcher) load(now time.Duration) (next time.Duration) {
	at, wanted := w.pace.due()
	switch {
	case !wanted || w.absent || !w.good || w.read.running:
		return never
	case now < at:
		return at
	}
	w.pace.begin()
	task := w.task()
	w.beside(func() func(time.Duration) {
		began := w.Now()
		overlay, freed := task.overlay()
		result, err := w.Load(w.ctx, overlay, freed)
		took, signs := w.Now()-began-result.Waited, w.Signs()
		return func(now time.Duration) { w.endLoad(now, took, task, overlay, result, signs, err) }
	})
	return never
}

// task is a load: what the kernel is to hold before it, and after it.
type task struct {
	held          Standing
	note          health.Note
	services      []config.Service // all, as they are to be
	places        []int            // of those whose backends change
	before, after []config.Service // of these, in the order of places
	said          []health.ServiceNote
}

// task takes all that is known now.
func (w *watcher) task() task {
	made := task{held: w.held, note: health.NoteOf(w.said), services: slices.Clone(w.held.Config.Services)}
	for i, s := range made.services {
		made.services[i] = w.said[i].Choice(s).Apply(s)
	}
	for i := range w.differs {
		made.places = append(made.places, i)
	}
	slices.Sort(made.places)
	for _, i := range made.places {
		s := w.held.Config.Services[i]
		made.before = append(made.before, w.loaded[i].Choice(s).Apply(s))
		made.after = append(made.after, made.services[i])
		made.said = append(made.said, w.said[i])
	}
	return made
}

// overlay makes the rules.
func (t *task) overlay() (restore.Overlay, restore.Freed) {
	overlay := restore.Overlay{
		Base: t.held.Generation, Before: t.held.Overlay, None: t.note.None(),
		Tables: render.Update(t.held.Tables, config.Config{Services: t.services}, t.places),
	}
	var freed restore.Freed
	for i := range t.places {
		freed.Before = append(freed.Before, spread(t.before[i])...)
		freed.After = append(freed.After, spread(t.after[i])...)
	}
	if !overlay.None {
		overlay.Note, _ = t.note.Encode() // of strings and numbers: there is no error
	}
	return overlay, freed
}

// spread returns what a service spreads its connections to: only those that get new ones.
func spread(s config.Service) []rules.VirtualService {
	s.Backends = s.Active()
	if len(s.Backends) == 0 { // all are drained by hand
		return nil
	}
	s.OnRemove = config.Drain
	if s.OnDown == config.ResetDown {
		s.OnRemove = config.Reset
	}
	return render.VirtualServices(s)
}

// endLoad goes on with what is loaded now, or tries again.
func (w *watcher) endLoad(now, took time.Duration, t task, overlay restore.Overlay, result restore.Result, signs Signs, err error) {
	w.looks = now
	w.write.hurry(now)
	w.metrics.hurry(now)
	switch {
	case err == nil:
		w.pace.end(now, took, false)
		w.counts.LoadsOK++
		w.counts.LoadDuration = took
		w.succeed(t, overlay, result, signs)
		w.sayLoad(t.note, took, result)
	case errors.Is(err, restore.ErrStale): // follow reads what is to be held now
		w.pace.end(now, took, false)
		w.good, w.signs = false, Signs{}
		w.read.next = now
	case errors.Is(err, restore.ErrNotLoaded):
		w.pace.end(now, took, false)
		w.setAbsent(true)
	case w.ctx.Err() == nil:
		w.pace.end(now, took, true)
		w.counts.LoadsFailed++
		w.sayFailure(err, w.pace.retry)
	}
	w.wantLoad(now)
}

// succeed notes what the overlay says. Where signs say otherwise, somebody changed it meanwhile.
func (w *watcher) succeed(t task, overlay restore.Overlay, result restore.Result, signs Signs) {
	w.failures = ""
	for i, place := range t.places {
		w.loaded[place] = t.said[i]
		w.compare(place)
	}
	w.held.Tables, w.held.Note, w.held.Overlay, w.held.Unsure = overlay.Tables, t.note, result.Overlay, false
	others := signs.Current != w.signs.Current || signs.Pending != w.signs.Pending || signs.Overlay != result.Overlay
	if w.signs = signs; others {
		w.signs = Signs{} // as follow finds none
	}
}
