package change

import (
	"context"
	"errors"
	"fmt"

	"natspread/internal/config"
	"natspread/internal/config/edit"
	"natspread/internal/health"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/generation"
)

// PlanRuntime plans to drain a backend of what is loaded, or to give it new connections again,
// until the next load of a generation, or the next boot. It edits no file and makes no
// generation, so it needs no disk that can be written.
func PlanRuntime(host restore.Host, target Target, drain bool) (Edit, error) {
	wanted := host.Store().Wanted()
	number := wanted.Generation.Number
	if number == 0 {
		return Edit{}, errors.New("no generation is loaded: run natspread apply")
	}
	cfg, err := config.ParseGeneration(number, wanted.Generation.Config)
	if err != nil {
		return Edit{}, err
	}
	places, err := edit.FindBackends(cfg, target.Service, target.Backend)
	if err != nil {
		return Edit{}, err
	}
	backends := map[string][]string{}
	for _, p := range places {
		s := cfg.Services[p.Service]
		b := s.Backends[p.Backend]
		if b.Drained() && !drain {
			return Edit{}, fmt.Errorf("backend %s of service %s is drained in the config; fix: natspread undrain %s %s", b, s.Name, s.Name, b)
		}
		if !b.Drained() { // else it stays drained
			backends[s.Name] = append(backends[s.Name], b.String())
		}
	}
	return planOverlay(host, wanted, cfg, noteOf(wanted).SetDrained(generation.SinceBoot(), backends, drain), places)
}

// noteOf returns what the overlay that stands says of itself. One that natspread did not write
// says nothing.
func noteOf(wanted generation.Wanted) health.Note {
	note, _ := health.DecodeNote(wanted.Note())
	return note
}

// planOverlay plans an overlay of what is loaded. Those are out that the note says are drained by
// hand, and those that are down by the record of the last watcher or by the overlay that stands.
func planOverlay(host restore.Host, wanted generation.Wanted, cfg config.Config, note health.Note, places []edit.BackendPlace) (Edit, error) {
	record, _ := healthRecord(host) // it is empty where there was no watcher
	machine := health.NewMachine(record.Checks)
	machine.Learn(noteOf(wanted).Records(cfg))
	machine.Keep(generation.SinceBoot(), health.Checks(cfg))
	made, note := machine.Overlay(cfg, note)
	said, err := note.Encode()
	if err != nil {
		return Edit{}, err
	}
	planned := Edit{
		Plan:    Plan{Config: made, Tables: render.New(made)},
		overlay: &restore.Overlay{Base: wanted.Generation.Number, Note: said, None: note.None()},
	}
	planned.overlay.Tables = planned.Tables
	if wanted.Overlay != nil {
		planned.overlay.Before = wanted.Overlay.Sum
	}
	for _, p := range places {
		planned.Backends = append(planned.Backends, Backend{made.Services[p.Service], cfg.Services[p.Service].Backends[p.Backend]})
	}
	return planned, nil
}

// ApplyRuntime plans an edit of what is loaded, and loads it. Where natspread health loads
// something else in between, the edit is planned anew.
func ApplyRuntime(ctx context.Context, host restore.Host, plan func() (Edit, error)) (Edit, restore.Result, error) {
	const tries = 10
	for n := 1; ; n++ {
		edit, err := plan()
		if err != nil {
			return Edit{}, restore.Result{}, fmt.Errorf("%w; nothing was changed", err)
		}
		// No connection tracking entry is deleted: open connections go on, as with any drain.
		result, err := host.LoadOverlay(ctx, *edit.overlay, restore.Freed{})
		if err == nil {
			return edit, result, nil
		}
		if n == tries || !errors.Is(err, restore.ErrStale) {
			return Edit{}, restore.Result{}, err
		}
	}
}
