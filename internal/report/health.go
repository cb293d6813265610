package report

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/doctor/finding"
	"natspread/internal/health"
	"natspread/internal/text"
	"natspread/restore/generation"
)

// watched is the health of the services that are loaded. Who gets no new connections comes from
// the note of the rules that the kernel is to hold; the record may be newer than they are.
type watched struct {
	record health.Record // as it was last written here; the zero Record where none was
	alive  bool          // natspread health runs
	now    time.Duration // on the clock of the record
	wall   time.Time     // the same moment for people
	states map[health.Check]health.CheckRecord
	notes  map[string]health.ServiceNote // by service
	outs   map[use]health.OutNote
}

// use is a backend as one of its services uses it.
type use struct{ service, backend string }

// newWatched returns what is known at a moment.
func newWatched(record health.Record, alive bool, note health.Note, now time.Duration, wall time.Time) watched {
	w := watched{
		record: record, alive: alive, now: now, wall: wall,
		states: map[health.Check]health.CheckRecord{}, notes: map[string]health.ServiceNote{}, outs: map[use]health.OutNote{},
	}
	for _, check := range record.Checks {
		w.states[check.Check] = check
	}
	for _, service := range note.Services {
		w.notes[service.Name] = service
		for _, out := range service.Out {
			w.outs[use{service.Name, out.Backend}] = out
		}
	}
	return w
}

// at returns the time of a moment of the record's clock.
func (w watched) at(moment time.Duration) time.Time { return w.wall.Add(moment - w.now) }

// beat returns when the record was written; the zero Time where none was.
func (w watched) beat() time.Time {
	if w.record.Beat == 0 {
		return time.Time{}
	}
	return w.at(w.record.Beat)
}

// stale tells whether natspread health has not written its state for so long that it hangs.
func (w watched) stale() bool { return w.record.Beat != 0 && w.now-w.record.Beat > health.MostBeatAge }

// out returns why a backend gets no new connections, where the rules leave it out.
func (w watched) out(service config.Service, backend config.Backend) (out health.OutNote, is bool) {
	if len(w.outs) > 0 {
		out, is = w.outs[use{service.Name, backend.String()}]
	}
	return out, is
}

// standing returns a service as the rules that the kernel is to hold spread it.
func (w watched) standing(service config.Service) config.Service {
	return w.notes[service.Name].Choice(service).Apply(service)
}

// recordOf returns what the record says of a backend of a checked service. Of one that it does
// not know the note says whether its check had failed.
func (w watched) recordOf(service config.Service, backend config.Backend) health.CheckRecord {
	check, _ := health.Of(service, backend)
	record, known := w.states[check]
	if out, is := w.out(service, backend); !known && is && out.Reason != health.ByHand {
		return health.CheckRecord{Check: check, State: health.Down, Since: out.Since, Reason: out.Reason}
	}
	if !known {
		return health.CheckRecord{Check: check, State: health.New}
	}
	return record
}

// healthOf describes the health of a backend; nil where nobody checks it.
func (w watched) healthOf(service config.Service, backend config.Backend) *Health {
	if !service.Checked() {
		return nil
	}
	record := w.recordOf(service, backend)
	described := Health{State: record.State, record: record}
	if record.State != health.New {
		since := w.at(record.Since).UTC().Truncate(time.Second)
		described.Since, described.since = &since, w.now-record.Since
	}
	if record.State == health.Down {
		described.Reason = record.Reason
	}
	return &described
}

// choice chooses the backends of a checked service by their states, as natspread health does.
func (w watched) choice(service config.Service) health.Choice {
	up := func(b config.Backend) bool { return w.recordOf(service, b).State != health.Down }
	var drained []string
	for _, out := range w.notes[service.Name].Drained() {
		drained = append(drained, out.Backend)
	}
	return health.Choose(service, up, drained)
}

// mode returns by which rule a checked service chooses its backends now. The note has it where
// the service is loaded otherwise than its generation says. Else states that want other rules
// are newer than the loaded ones, and do not count.
func (w watched) mode(service config.Service) health.Mode {
	if note, differs := w.notes[service.Name]; differs {
		return note.Mode
	}
	if choice := w.choice(service); !choice.Changes() {
		return choice.Mode
	}
	return health.Normal
}

// printed returns what status prints of natspread health; nil where it does not run, and none
// of the services wants it to.
func (w watched) printed(services []config.Service) *Watcher {
	if !w.alive && !slices.ContainsFunc(services, config.Service.Checked) {
		return nil
	}
	printed := Watcher{Alive: w.alive, record: w.record}
	if w.record.Beat != 0 {
		age := (w.now - w.record.Beat).Seconds()
		printed.BeatAge = &age
	}
	return &printed
}

// printedOuts returns whom the rules leave out, in the order of the config.
func (w watched) printedOuts(services []config.Service) []Out {
	outs := []Out{}
	for _, service := range services {
		for _, out := range w.notes[service.Name].Out {
			outs = append(outs, Out{service.Name, out.Backend, w.at(out.Since).UTC().Truncate(time.Second), out.Reason})
		}
	}
	return outs
}

// unwatched tells whether some of the services have checks and nobody makes them. It returns
// what is known of natspread health, and which backends stay out because of that.
func (w watched) unwatched(services []config.Service) (doctor.Watcher, bool) {
	if w.alive && !w.stale() || !slices.ContainsFunc(services, config.Service.Checked) {
		return doctor.Watcher{}, false
	}
	known := doctor.Watcher{Hangs: w.alive, Beat: w.beat(), Now: w.wall}
	said := map[string]bool{}
	for _, service := range services {
		for _, one := range w.notes[service.Name].Out {
			if one.Reason != health.ByHand && !said[one.Backend] {
				said[one.Backend] = true
				known.Out = append(known.Out, one.Backend)
			}
		}
	}
	return known, true
}

// unreached says which backends pass their check while nobody gets an answer from them.
func (w watched) unreached(host doctor.Host, services []config.Service) []doctor.Finding {
	var found []doctor.Finding
	if !w.alive || w.stale() {
		return nil
	}
	for _, service := range services {
		for _, backend := range service.Backends {
			if record := w.recordOf(service, backend); service.Checked() && record.Unreachable() {
				found = append(found, host.NoneAnswered(service, backend, record.Unanswered))
			}
		}
	}
	return found
}

// lines says, for the notes of a report, who is out, and which services do not choose among
// those of their primaries that are up.
func (w watched) lines(services []config.Service) []string {
	var found, hand []doctor.Finding
	out, of := 0, 0
	for _, service := range services {
		if service.Checked() {
			of += len(service.Backends)
			found = append(found, w.modeNote(service)...)
		}
		for _, one := range w.notes[service.Name].Out {
			if one.Reason == health.ByHand {
				of := finding.Subject{Kind: "backends are drained until the next load or boot", Name: one.Backend, Services: []string{service.Name}}
				hand = append(hand, doctor.Finding{What: "drained until the next load or boot: " + of.String(), Of: of})
			} else {
				out++
			}
		}
	}
	if out > 0 {
		are := "are"
		if out == 1 {
			are = "is"
		}
		found = slices.Insert(found, 0, doctor.Finding{What: fmt.Sprintf("health: %d of %s %s out", out, text.Plural(of, "backend"), are)})
	}
	return NotesOf(finding.Fold(append(found, hand...), "natspread status --all # names each"))
}

// modeNote says why backups join, or why a service lets in also those that are down.
func (w watched) modeNote(service config.Service) []doctor.Finding {
	mode := w.mode(service)
	if mode != health.Backup && mode != health.FailOpen {
		return nil
	}
	choice, does := w.choice(service), "backups join"
	if mode == health.FailOpen {
		does = "all get connections (fail-open)"
	}
	note := doctor.Finding{
		What: fmt.Sprintf("health: %s: %d of %d up, fewer than min_up = %d: %s", service.Name, choice.Up, choice.Of, service.MinUp, does),
		Of:   finding.Subject{Kind: "services have fewer backends up than min_up: " + does, Services: []string{service.Name}},
	}
	if choice.Up == 0 && mode == health.FailOpen {
		note.What = fmt.Sprintf("health: %s: none of %s is up: %s", service.Name, text.Plural(choice.Of, "backend"), does)
	}
	return []doctor.Finding{note}
}

// readWatched reads what is known of the health of what the kernel is to hold. What cannot be
// read is a Risk, and counts as if nothing was there.
func (h Host) readWatched(wanted generation.Wanted) (watched, []doctor.Finding) {
	var found []doctor.Finding
	cannotTell := func(what string, err error) {
		one := doctor.Finding{Severity: doctor.Risk, What: fmt.Sprintf("cannot tell %s: %v", what, err)}
		var untrusted *generation.UntrustedError
		if errors.As(err, &untrusted) {
			one.Fix = untrusted.Fix
		}
		found = append(found, one)
	}
	record, alive, err := h.watch()
	if err != nil {
		cannotTell("what natspread health knows of the backends", err)
	}
	var note health.Note
	if data := wanted.Note(); data != nil {
		if note, err = health.DecodeNote(data); err != nil {
			cannotTell("who is out, and why", err)
		}
	}
	return newWatched(record, alive, note, generation.SinceBoot(), time.Now()), found
}

// watch reads what natspread health wrote, and whether it runs.
func (h Host) watch() (record health.Record, alive bool, err error) {
	alive = !h.Ends && h.Restore.WatcherAlive()
	data, err := h.Restore.HealthRecord()
	if errors.Is(err, fs.ErrNotExist) {
		return health.Record{}, alive, nil
	}
	if err == nil {
		record, err = health.DecodeRecord(data, h.Restore.Store().Namespace, generation.SinceBoot())
	}
	return record, alive, err
}
