package health

import (
	"maps"
	"slices"
	"time"

	"natspread/internal/config"
)

// ByHand is the reason of a backend that natspread drain --runtime took out.
const ByHand = "drained"

// Choose chooses the backends of a service by the states of their checks, and says so as an
// overlay does. Those that are drained by hand stay out.
func (m *Machine) Choose(s config.Service, byHand []OutNote) (Choice, ServiceNote) {
	drained := make([]string, len(byHand))
	outs := make(map[string]OutNote, len(byHand))
	for i, out := range byHand {
		drained[i], outs[out.Backend] = out.Backend, out
	}
	choice := Choose(s, func(b config.Backend) bool {
		check, checked := Of(s, b)
		return !checked || m.Up(check)
	}, drained)
	note := ServiceNote{Name: s.Name, Mode: choice.Mode}
	for _, b := range choice.Out {
		out := OutNote{Backend: b.String()}
		if said, is := outs[out.Backend]; is {
			out = said
		} else if check, checked := Of(s, b); checked {
			state, _ := m.Of(check)
			out.Since, out.Reason = state.Since, state.Reason
		}
		note.Out = append(note.Out, out)
	}
	for _, b := range choice.Joined {
		note.Joined = append(note.Joined, b.String())
	}
	return choice, note
}

// Overlay returns a config as it is to be rendered now, and what its overlay is to say of
// itself. The backends that are drained by hand are those of the note before. A service that is
// used as the config says stays the same value.
func (m *Machine) Overlay(cfg config.Config, before Note) (config.Config, Note) {
	byHand := map[string][]OutNote{}
	for _, s := range before.Services {
		byHand[s.Name] = s.Drained()
	}
	made := config.Config{Services: slices.Clone(cfg.Services)}
	said := make([]ServiceNote, len(cfg.Services))
	for i, s := range cfg.Services {
		var choice Choice
		choice, said[i] = m.Choose(s, byHand[s.Name])
		made.Services[i] = choice.Apply(s)
	}
	return made, NoteOf(said)
}

// NoteOf returns the note of an overlay by what is to be said of each service.
func NoteOf(said []ServiceNote) Note {
	var note Note
	for _, s := range said {
		if s.worth() {
			note.Services = append(note.Services, s)
		}
	}
	return note
}

// Choice returns the choice that the note of a service was made of, without its counts of
// primaries.
func (s ServiceNote) Choice(service config.Service) Choice {
	choice := Choice{Mode: s.Mode}
	if !s.Differs() {
		return choice
	}
	reasons := make(map[string]string, len(s.Out))
	for _, out := range s.Out {
		reasons[out.Backend] = out.Reason
	}
	joined := make(map[string]bool, len(s.Joined))
	for _, backend := range s.Joined {
		joined[backend] = true
	}
	for _, b := range service.Backends {
		reason, out := reasons[b.String()]
		switch {
		case out:
			choice.Out = append(choice.Out, b)
			if reason == ByHand {
				choice.ByHand = append(choice.ByHand, b)
			}
		case joined[b.String()]:
			choice.Joined = append(choice.Joined, b)
		}
	}
	return choice
}

// Drained returns the backends that are drained by hand.
func (s ServiceNote) Drained() []OutNote {
	return slices.DeleteFunc(slices.Clone(s.Out), func(out OutNote) bool { return out.Reason != ByHand })
}

// Differs tells whether the service's rules are others than the generation's.
func (s ServiceNote) Differs() bool { return len(s.Out)+len(s.Joined) > 0 }

// worth tells whether a note has to name the service.
func (s ServiceNote) worth() bool { return s.Differs() || s.Mode == FailOpen }

// None tells whether nobody is out and nobody joined: no overlay is needed.
func (n Note) None() bool { return !slices.ContainsFunc(n.Services, ServiceNote.Differs) }

// Of returns what the note says of a service, if it names it.
func (n Note) Of(service string) (said ServiceNote, found bool) {
	i := slices.IndexFunc(n.Services, func(s ServiceNote) bool { return s.Name == service })
	if i < 0 {
		return ServiceNote{}, false
	}
	return n.Services[i], true
}

// SetDrained returns the note with some backends of services drained by hand, or no longer. Overlay
// makes of that note what the services use then.
func (n Note) SetDrained(now time.Duration, backends map[string][]string, drained bool) Note {
	var said []ServiceNote
	more := maps.Clone(backends)
	for _, s := range n.Services {
		said = append(said, s.setDrained(now, more[s.Name], drained))
		delete(more, s.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		said = append(said, ServiceNote{Name: name, Mode: Normal}.setDrained(now, more[name], drained))
	}
	return NoteOf(said)
}

// setDrained is SetDrained for one service. A backend that is down can be drained, too.
func (s ServiceNote) setDrained(now time.Duration, backends []string, drained bool) ServiceNote {
	asked := map[string]bool{}
	for _, backend := range backends {
		asked[backend] = true
	}
	var outs []OutNote
	for _, out := range s.Out {
		if byHand := out.Reason == ByHand; !asked[out.Backend] || byHand == drained {
			outs = append(outs, out)
			delete(asked, out.Backend)
		}
	}
	for _, backend := range backends {
		if drained && asked[backend] {
			outs = append(outs, OutNote{backend, now, ByHand})
		}
	}
	s.Out = outs
	return s
}
