package report

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/health"
	"natspread/internal/screen"
	"natspread/internal/test/configtest"
)

// checked is a config of a service with a check and a backup, and of one without.
const checked = `[[service]]
name = "web"
listen = "192.0.2.10:80"
snat = "none"
check = "http"
backends = ["10.0.0.1:80", "10.0.0.2:80", { address = "10.0.0.9:80", backup = true }]

[[service]]
name = "dns"
listen = "192.0.2.10:53"
backends = ["10.0.0.1:53", "10.0.0.2:53"]
`

// hour is the time of the records below, by their clock.
const hour = time.Hour

// noon is the same for people.
func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

// recorded is a record of the first service of a config: the states of its backends in their
// order, as "up", "new", "unable" or a reason, each for 3 min 12 s.
func recorded(t *testing.T, cfg config.Config, states ...string) health.Record {
	t.Helper()
	record := health.Record{Namespace: "here", Generation: 3, Beat: hour - 5*time.Second}
	for i, state := range states {
		check, is := health.Of(cfg.Services[0], cfg.Services[0].Backends[i])
		if !is {
			t.Fatal("nobody checks it")
		}
		one := health.CheckRecord{Check: check, State: health.State(state), Since: hour - 192*time.Second, OK: 1}
		switch state {
		case "up", "new":
		case "unable":
			one.State, one.OK, one.Unable = health.New, 0, 1
		default:
			one.State, one.Reason = health.Down, state
		}
		record.Checks = append(record.Checks, one)
	}
	return record
}

// outOf is a note by which backends of web are out.
func outOf(mode health.Mode, out ...string) health.Note {
	said := health.ServiceNote{Name: "web", Mode: mode}
	for _, backend := range out {
		said.Out = append(said.Out, health.OutNote{Backend: backend, Since: hour - 192*time.Second, Reason: "connection refused"})
	}
	return health.Note{Services: []health.ServiceNote{said}}
}

// watchedAt is what is known at noon.
func watchedAt(record health.Record, alive bool, note health.Note) watched {
	return newWatched(record, alive, note, hour, noon())
}

// shown is the report of what is loaded in order, with its notes.
func shown(t *testing.T, text string, watched watched) Status {
	t.Helper()
	status := applied()
	cfg := parsed(t, text)
	return Report{State: InSync, Status: status, config: cfg, watched: watched, Notes: watched.lines(cfg.Services)}.Printed(context.Background())
}

// TestHealthText shows who is up, who is down since when and why, and what the services do
// about it.
func TestHealthText(t *testing.T) {
	cfg := parsed(t, checked)
	minUp := strings.Replace(checked, "check = ", "min_up = 2\ncheck = ", 1)
	byHand := outOf(health.Normal, "10.0.0.2:80")
	byHand.Services[0].Out[0].Reason = health.ByHand
	joined := outOf(health.Backup, "10.0.0.2:80")
	joined.Services[0].Joined = []string{"10.0.0.9:80"}
	const refused = "connection refused"
	for name, c := range map[string]struct {
		config string
		states []string
		note   health.Note
		want   string // of the notes, and of the first service
	}{
		"up": {checked, []string{"up", "up", "up"}, health.Note{}, `
web  tcp 192.0.2.10:80  random, snat none, check http  3 of 3 up  0 connections
  BACKEND      STATE             WEIGHT   WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  up 3m12s               1  50.00 %         -      0     -
  10.0.0.2:80  up 3m12s               1  50.00 %         -      0     -
  10.0.0.9:80  up 3m12s, backup       1   0.00 %         -      0     -
`},
		"nobody looked yet": {checked, nil, health.Note{}, `
web  tcp 192.0.2.10:80  random, snat none, check http  0 of 3 up, 3 not checked yet  0 connections
  BACKEND      STATE                    WEIGHT   WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  not checked yet               1  50.00 %         -      0     -
  10.0.0.2:80  not checked yet               1  50.00 %         -      0     -
  10.0.0.9:80  not checked yet, backup       1   0.00 %         -      0     -
`},
		"this host cannot ask": {checked, []string{"up", "unable", "up"}, health.Note{}, `
web  tcp 192.0.2.10:80  random, snat none, check http  2 of 3 up, 1 not checked yet  0 connections
  BACKEND      STATE              WEIGHT   WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  up 3m12s                1  50.00 %         -      0     -
  10.0.0.2:80  cannot be checked       1  50.00 %         -      0     -
  10.0.0.9:80  up 3m12s, backup        1   0.00 %         -      0     -
`},
		"one is down": {checked, []string{"up", refused, "up"}, outOf(health.Normal, "10.0.0.2:80"), `note: health: 1 of 3 backends is out

web  tcp 192.0.2.10:80  random, snat none, check http  2 of 3 up  0 connections
  BACKEND      STATE             WEIGHT    WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  up 3m12s               1  100.00 %         -      0     -
  10.0.0.2:80  down 3m12s             1    0.00 %         -      0     -  connection refused
  10.0.0.9:80  up 3m12s, backup       1    0.00 %         -      0     -
`},
		"one is down, and the rules do not know it yet": {checked, []string{"up", refused, "up"}, health.Note{}, `
web  tcp 192.0.2.10:80  random, snat none, check http  2 of 3 up  0 connections
  BACKEND      STATE             WEIGHT   WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  up 3m12s               1  50.00 %         -      0     -
  10.0.0.2:80  down 3m12s             1  50.00 %         -      0     -  connection refused
  10.0.0.9:80  up 3m12s, backup       1   0.00 %         -      0     -
`},
		"one is out, and its record is gone": {checked, nil, outOf(health.Normal, "10.0.0.2:80"), `note: health: 1 of 3 backends is out

web  tcp 192.0.2.10:80  random, snat none, check http  0 of 3 up, 2 not checked yet  0 connections
  BACKEND      STATE                    WEIGHT    WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  not checked yet               1  100.00 %         -      0     -
  10.0.0.2:80  down 3m12s                    1    0.00 %         -      0     -  connection refused
  10.0.0.9:80  not checked yet, backup       1    0.00 %         -      0     -
`},
		"a backup joins": {minUp, []string{"up", refused, "up"}, joined, `note: health: 1 of 3 backends is out
note: health: web: 1 of 2 up, fewer than min_up = 2: backups join

web  tcp 192.0.2.10:80  random, snat none, check http  2 of 3 up, backups join  0 connections
  BACKEND      STATE             WEIGHT   WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  up 3m12s               1  50.00 %         -      0     -
  10.0.0.2:80  down 3m12s             1   0.00 %         -      0     -  connection refused
  10.0.0.9:80  up 3m12s, backup       1  50.00 %         -      0     -
`},
		"none is up": {checked, []string{refused, "status 500", "no answer in 1s"}, health.Note{}, `note: health: web: none of 2 backends is up: all get connections (fail-open)

web  tcp 192.0.2.10:80  random, snat none, check http  0 of 3 up, fail-open: all get connections  0 connections
  BACKEND      STATE               WEIGHT   WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  down 3m12s               1  50.00 %         -      0     -  connection refused
  10.0.0.2:80  down 3m12s               1  50.00 %         -      0     -  status 500
  10.0.0.9:80  down 3m12s, backup       1   0.00 %         -      0     -  no answer in 1s
`},
		"too few are up": {minUp, []string{"up", refused, refused}, outOf(health.FailOpen), `note: health: web: 1 of 2 up, fewer than min_up = 2: all get connections (fail-open)

web  tcp 192.0.2.10:80  random, snat none, check http  1 of 3 up, fail-open: all get connections  0 connections
  BACKEND      STATE               WEIGHT   WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  up 3m12s                 1  50.00 %         -      0     -
  10.0.0.2:80  down 3m12s               1  50.00 %         -      0     -  connection refused
  10.0.0.9:80  down 3m12s, backup       1   0.00 %         -      0     -  connection refused
`},
		"one is drained by hand": {checked, []string{"up", "up", "up"}, byHand, `note: drained until the next load or boot: 10.0.0.2:80 of web

web  tcp 192.0.2.10:80  random, snat none, check http  3 of 3 up  0 connections
  BACKEND      STATE             WEIGHT    WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  up 3m12s               1  100.00 %         -      0     -
  10.0.0.2:80  drained 3m12s          1    0.00 %         -      0     -
  10.0.0.9:80  up 3m12s, backup       1    0.00 %         -      0     -
`},
	} {
		printed := shown(t, c.config, watchedAt(recorded(t, parsed(t, c.config), c.states...), true, c.note))
		got := ""
		for _, note := range printed.Notes {
			if !strings.HasPrefix(note, "live connections") {
				got += "note: " + note + "\n"
			}
		}
		for i := range printed.Services[0].Backends { // whoever runs the test may have no right to count them
			printed.Services[0].Live, printed.Services[0].Backends[i].Live = nil, nil
		}
		if diff := cmp.Diff(c.want, got+"\n"+printed.Services[0].Text(plain())); diff != "" {
			t.Errorf("%s: -wanted +got:\n%s", name, diff)
		}
		if plain := printed.Services[1]; plain.Health != "" || plain.Backends[0].Health != nil || strings.Contains(plain.Text(screen.Screen{}), "STATE") {
			t.Errorf("%s: nobody checks dns: %+v", name, plain)
		}
	}
	if len(cfg.Services) != 2 {
		t.Error(cfg)
	}
}

// TestHealthJSON shows the same to programs.
func TestHealthJSON(t *testing.T) {
	record := recorded(t, parsed(t, checked), "up", "connection refused", "new")
	printed := shown(t, checked, watchedAt(record, true, outOf(health.Normal, "10.0.0.2:80")))
	got, err := json.Marshal([]any{printed.Watcher, printed.Services[0].Health, printed.Services[0].Backends[0].Health, printed.Services[0].Backends[1].Health, printed.Services[0].Backends[2].Health, printed.Services[1].Backends[0]})
	const want = `[{"alive":true,"beat_age":5},"normal",{"state":"up","since":"2026-01-02T11:56:48Z"},` +
		`{"state":"down","since":"2026-01-02T11:56:48Z","reason":"connection refused"},{"state":"new"},` +
		`{"address":"10.0.0.1:53","weight":1,"drained":false,"backup":false,"slots":0,"wanted_share":0.5,"observed_share":0,"connections":0,"live":null}]`
	if text := strings.ReplaceAll(string(got), `"live":0`, `"live":null`); err != nil || text != want {
		t.Errorf("%s, %v", got, err)
	}
	if none := shown(t, web, watchedAt(health.Record{}, false, health.Note{})); none.Watcher != nil {
		t.Errorf("nobody wants a watcher: %+v", none.Watcher)
	}
	if early := shown(t, checked, watchedAt(health.Record{}, false, health.Note{})); early.Watcher == nil || early.Watcher.Alive || early.Watcher.BeatAge != nil {
		t.Errorf("it never ran: %+v", early.Watcher)
	}
	if line := strings.Split(printed.Lines(noon()), "\n")[0]; !strings.HasPrefix(line, "2026-01-02T12:00:00Z  in_sync  web  0 connections") || !strings.HasSuffix(line, "  1 of 3 up, 1 not checked yet") {
		t.Error(line)
	}
}

// TestUnwatched says that nobody checks the backends, since when, and who stays out.
func TestUnwatched(t *testing.T) {
	cfg := parsed(t, checked)
	at := func(beat time.Duration) health.Record { return health.Record{Beat: beat} }
	const fix = " -> natspread health # runs in the foreground"
	byHand := outOf(health.Normal, "10.0.0.2:80")
	byHand.Services[0].Out[0].Reason = health.ByHand
	for name, c := range map[string]struct {
		record health.Record
		alive  bool
		note   health.Note
		want   []string
	}{
		"runs":              {at(hour - 59*time.Second), true, outOf(health.Normal, "10.0.0.2:80"), nil},
		"just started":      {at(0), true, health.Note{}, nil},
		"never ran":         {at(0), false, health.Note{}, []string{"broken: health checks are configured, but natspread health does not run" + fix}},
		"drained by hand":   {at(0), false, byHand, []string{"broken: health checks are configured, but natspread health does not run" + fix}},
		"ended":             {at(hour - time.Second), false, health.Note{}, []string{"broken: health checks do not run since 11:59" + fix}},
		"ended, one out":    {at(hour - 10*time.Minute), false, outOf(health.Normal, "10.0.0.2:80"), []string{"broken: health checks do not run since 11:50: 10.0.0.2:80 stays out, unless natspread restore lets it in" + fix}},
		"ended, several":    {at(hour - 10*time.Minute), false, outOf(health.Normal, "10.0.0.2:80", "10.0.0.1:80"), []string{"broken: health checks do not run since 11:50: 10.0.0.2:80, 10.0.0.1:80 stay out, unless natspread restore lets them in" + fix}},
		"hangs":             {at(hour - 61*time.Second), true, health.Note{}, []string{"broken: natspread health runs, but has not written its state since 11:58 -> natspread health # runs in the foreground, when what holds /run/natspread/health.lock is gone"}},
		"hangs, with one":   {at(time.Second), true, outOf(health.Normal, "10.0.0.2:80"), []string{"broken: natspread health runs, but has not written its state since 11:00: 10.0.0.2:80 stays out, unless natspread restore lets it in -> natspread health # runs in the foreground, when what holds /run/natspread/health.lock is gone"}},
		"nobody is checked": {health.Record{}, false, health.Note{}, nil},
	} {
		services := cfg.Services
		if name == "nobody is checked" {
			services = services[1:]
		}
		host := Host{Doctor: doctor.Host{Root: t.TempDir()}}
		found := host.unwatchedBy(t.Context(), watchedAt(c.record, c.alive, c.note), services)
		if got := lines(found); !slices.Equal(got, c.want) {
			t.Errorf("%s: -wanted +got:\n%s", name, cmp.Diff(c.want, got))
		}
	}
}

// TestUnreached finds backends that pass their check and answer nobody, while somebody checks
// them.
func TestUnreached(t *testing.T) {
	cfg := parsed(t, checked)
	of := func(unanswered, answered int, state string) health.Record {
		record := recorded(t, cfg, state)
		record.Checks[0].Unanswered, record.Checks[0].Answered = unanswered, answered
		return record
	}
	stale := of(60, 0, "up")
	stale.Beat = hour - 2*time.Minute
	for name, c := range map[string]struct {
		record health.Record
		found  bool
	}{
		"answers nobody":   {of(60, 0, "up"), true},
		"answers some":     {of(60, 1, "up"), false},
		"few asked":        {of(9, 0, "up"), false},
		"is down":          {of(60, 0, "refused"), false},
		"nobody looks now": {stale, false},
	} {
		found := watchedAt(c.record, true, health.Note{}).unreached(doctor.Host{}, cfg.Services)
		if (len(found) == 1) != c.found {
			t.Errorf("%s: %v", name, found)
		}
		if c.found && !strings.HasPrefix(found[0].What, "backend 10.0.0.1:80 of service web passes its check, but none of 60 connections to it was answered") {
			t.Error(found[0].What)
		}
	}
}

// TestStandingShares holds the shares that status wants to those of the rules: what an overlay's
// note says leads to the same service as the choice that its rules were made by.
func TestStandingShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		machine := health.NewMachine(nil)
		checks := health.Checks(cfg)
		machine.Keep(0, checks)
		for _, check := range checks {
			if rapid.Bool().Draw(t, "down") {
				machine.Take(0, check, health.Answer{Outcome: health.Failed, Reason: "connection refused"})
			}
		}
		made, note := machine.Overlay(cfg, health.Note{})
		watched := newWatched(health.Record{Beat: 1, Checks: machine.Records()}, true, note, 1, noon())
		for i, service := range cfg.Services {
			described, want := describe(service, nil, watched), made.Services[i].Shares(made.Services[i].Owned())
			for j, backend := range described.Backends {
				if backend.WantedShare != want[j] {
					t.Fatalf("%s of %s is to get %v, and its rules give %v", backend.Address, service.Name, backend.WantedShare, want[j])
				}
			}
			if choice, _ := machine.Choose(service, nil); service.Checked() && described.Health != choice.Mode {
				t.Fatalf("%s: %s, not %s", service.Name, described.Health, choice.Mode)
			}
		}
	})
}
