package change

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore"
	"natspread/restore/generation"
)

// asked is two with a check of its backends.
var asked = strings.Replace(two, "# two", "# two\ncheck = \"tcp\"", 1)

// downOne is a record in which the first backend of asked is down, since some time ago.
func downOne(t *testing.T, host restore.Host) health.Record {
	t.Helper()
	cfg := parsed(t, asked).Config
	record := health.Record{Namespace: host.Store().Namespace, Beat: generation.SinceBoot()}
	for _, c := range health.Checks(cfg) {
		record.Checks = append(record.Checks, health.CheckRecord{Check: c, State: health.Up})
	}
	record.Checks[0].State, record.Checks[0].Since, record.Checks[0].Reason = health.Down, record.Beat/2, "connection refused"
	return record
}

// writeRecord is what a watcher does with a record.
func writeRecord(t *testing.T, host restore.Host, record health.Record) {
	t.Helper()
	data, err := record.Encode()
	if err == nil {
		err = host.WriteHealthRecord(data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// watch is a watcher that lives until the test ends, or what is returned is called.
func watch(t *testing.T, host restore.Host) (unlock func()) {
	t.Helper()
	unlock, err := host.LockWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	return unlock
}

// wantBackends fails unless the service web sends connections to these, by their last digits,
// in the kernel as status sees it.
func wantBackends(t *testing.T, host restore.Host, digits string) {
	t.Helper()
	status, err := host.Status(t.Context())
	if err != nil || !status.Loaded || len(status.Rules) > 0 {
		t.Errorf("loaded %v, %v, %v", status.Loaded, status.Rules, err)
	}
	tables := status.Wanted.Tables()
	var got []byte
	for _, chain := range tables.Of(rules.IPv4).Chains {
		for _, rule := range chain.Rules {
			if rule.Target.Kind == rules.DNAT {
				got = append(got, '0'+rule.Target.Address.As4()[3])
			}
		}
	}
	slices.Sort(got)
	if string(slices.Compact(got)) != digits {
		t.Errorf("connections go to %s, not %s", got, digits)
	}
}

// TestStanding loads a config while its first backend is down: with a watcher that lives and
// a fresh record it is out at once, and what boot loads has it in any case.
func TestStanding(t *testing.T) {
	old := func(r *health.Record) { r.Beat -= health.MostBeatAge + time.Second }
	foreign := func(r *health.Record) { r.Namespace += "0" }
	healed := func(r *health.Record) { r.Checks[0].State = health.Up }
	none := func(*health.Record) {}
	for name, c := range map[string]struct {
		change func(*health.Record)
		dead   bool
		text   string
		uses   string
	}{
		"known to be down":      {change: none, uses: "2"},
		"another interval":      {change: none, text: strings.Replace(asked, `"tcp"`, `{ type = "tcp", interval = "5s" }`, 1), uses: "2"},
		"checked no more":       {change: none, text: two, uses: "12"},
		"up again":              {change: healed, uses: "12"},
		"an old record":         {change: old, uses: "12"},
		"of another namespace":  {change: foreign, uses: "12"},
		"the watcher has ended": {change: none, dead: true, uses: "12"},
	} {
		for _, variant := range netnstest.VariantsFor(t, name) {
			t.Run(name+"/"+variant, func(t *testing.T) {
				if !netnstest.IsolateAsRoot(t) {
					return
				}
				host := hostBelow(newStore(t), variant)
				record := downOne(t, host)
				c.change(&record)
				unlock := watch(t, host)
				writeRecord(t, host, record)
				if c.dead {
					unlock()
				}
				text := c.text
				if text == "" {
					text = asked
				}
				plan := parsed(t, text)
				if result, err := Apply(t.Context(), host, plan.Request("apply")); err != nil || !result.Changed {
					t.Fatalf("%+v, %v", result, err)
				}
				wantBackends(t, host, c.uses)
				if g, err := host.Store().Current(); err != nil || !g.Tables.Equal(plan.Tables) {
					t.Errorf("boot loads other tables: %v", err)
				}
			})
		}
	}
}

// TestStandingTrial is the same for a generation that waits to be confirmed, and for an older
// one that is loaded again.
func TestStandingTrial(t *testing.T) {
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if !netnstest.IsolateAsRoot(t) {
				return
			}
			host := hostBelow(newStore(t), variant)
			if _, err := Apply(t.Context(), host, parsed(t, asked).Request("apply")); err != nil {
				t.Fatal(err)
			}
			record := downOne(t, host)
			writeRecord(t, host, record)
			watch(t, host)
			schedule := func(context.Context, time.Duration) (func(context.Context), error) {
				return func(context.Context) {}, nil
			}
			if _, err := Try(t.Context(), host, parsed(t, third).Request("apply --confirm"), restore.Trial{For: time.Hour, Schedule: schedule}); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "23")
			if _, err := host.Confirm(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "23")
			first, err := host.Store().Read(1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Apply(t.Context(), host, Again(first, "rollback 1")); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "2")

			// The record is older than the overlay, whose watcher has not written it yet.
			record.Checks[0].State = health.Up
			record.Checks[0].Since -= time.Second
			writeRecord(t, host, record)
			if _, err := Apply(t.Context(), host, parsed(t, third).Request("apply")); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "23")
		})
	}
}

// third is asked with a third backend, and one that the config drains.
var third = strings.Replace(asked, `"10.0.0.2:80"`, `"10.0.0.2:80", "10.0.0.3:80", { address = "10.0.0.4:80", drain = true }`, 1)

// setRuntime drains a backend of the service web, by its last digit, in what is loaded, or
// gives it connections again.
func setRuntime(t *testing.T, host restore.Host, digit string, drain bool) (Edit, error) {
	t.Helper()
	edit, _, err := ApplyRuntime(t.Context(), host, func() (Edit, error) {
		return PlanRuntime(host, Target{"web", "10.0.0." + digit + ":80"}, drain)
	})
	return edit, err
}

// TestRuntime drains in what is loaded, beside what is down, until a generation is loaded.
func TestRuntime(t *testing.T) {
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if !netnstest.IsolateAsRoot(t) {
				return
			}
			host := hostBelow(newStore(t), variant)
			if _, err := setRuntime(t, host, "1", true); err == nil || !strings.HasPrefix(err.Error(), "no generation is loaded") {
				t.Errorf("%v", err)
			}
			if _, err := Apply(t.Context(), host, parsed(t, third).Request("apply")); err != nil {
				t.Fatal(err)
			}
			record := downOne(t, host)
			writeRecord(t, host, record)
			for _, step := range []struct {
				digit string
				drain bool
				uses  string
			}{
				{"2", true, "3"}, // the first one is down
				{"2", true, "3"}, // again
				{"4", true, "3"}, // it is drained in the config
				{"1", true, "3"}, // and down
				{"2", false, "23"},
				{"1", false, "23"}, // it is down still
				{"3", false, "23"},
			} {
				edit, err := setRuntime(t, host, step.digit, step.drain)
				if err != nil || len(edit.Backends) != 1 || edit.Backends[0].Backend.String() != "10.0.0."+step.digit+":80" {
					t.Fatalf("%+v: %+v, %v", step, edit.Backends, err)
				}
				wantBackends(t, host, step.uses)
			}
			if _, err := setRuntime(t, host, "4", false); err == nil || !strings.Contains(err.Error(), "is drained in the config; fix: natspread undrain web 10.0.0.4:80") {
				t.Errorf("%v", err)
			}
			old := record // the watcher takes out first, and writes after that
			old.Checks = slices.Clone(record.Checks)
			old.Checks[0].State, old.Checks[0].Since = health.Up, record.Checks[0].Since-1
			writeRecord(t, host, old)
			if _, err := setRuntime(t, host, "3", true); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "2")
			if err := os.Remove(host.Store().Path(paths.HealthRecord)); err != nil {
				t.Fatal(err)
			}
			if _, err := setRuntime(t, host, "3", false); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "23")
			record.Checks[0].State = health.Up
			writeRecord(t, host, record)
			if _, err := setRuntime(t, host, "3", true); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "12")
			if _, err := setRuntime(t, host, "3", false); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "123")
			if wanted := host.Store().Wanted(); wanted.Overlay != nil {
				t.Error("nobody is out, and the record of it stays")
			}
			if _, err := setRuntime(t, host, "3", true); err != nil {
				t.Fatal(err)
			}
			if _, err := Apply(t.Context(), host, parsed(t, asked).Request("apply")); err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "12")
		})
	}
}

// TestRuntimeRace has a watcher load overlays all the time, as its first backend comes and goes,
// while hands drain and undrain another: none undoes what the other did.
func TestRuntimeRace(t *testing.T) {
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if !netnstest.IsolateAsRoot(t) {
				return
			}
			host := hostBelow(newStore(t), variant)
			if _, err := Apply(t.Context(), host, parsed(t, third).Request("apply")); err != nil {
				t.Fatal(err)
			}
			record := downOne(t, host)
			ended, done := make(chan struct{}), make(chan error)
			go func() {
				var err error
				for loads, last := 0, false; err == nil && !last; loads++ {
					select {
					case <-ended: // once more, as the first backend is down
						last, loads = true, 0
					default:
					}
					err = loadAsWatcher(t.Context(), host, record, loads%2 == 0)
				}
				done <- err
			}()
			for n := range 7 {
				if _, err := setRuntime(t, host, "3", n%2 == 0); err != nil {
					t.Errorf("number %d: %v", n, err)
				}
			}
			close(ended)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			wantBackends(t, host, "2")
			note := noteOf(host.Store().Wanted())
			if said, _ := note.Of("web"); len(said.Out) != 2 || len(said.Drained()) != 1 || said.Drained()[0].Backend != "10.0.0.3:80" {
				t.Errorf("%+v", note)
			}
		})
	}
}

// loadAsWatcher loads what a watcher makes of a record, with its first check down or up.
func loadAsWatcher(ctx context.Context, host restore.Host, record health.Record, down bool) error {
	record.Checks, record.Beat = slices.Clone(record.Checks), generation.SinceBoot()
	if !down {
		record.Checks[0].State = health.Up
	}
	data, err := record.Encode()
	if err == nil {
		err = host.WriteHealthRecord(data)
	}
	if err != nil {
		return err
	}
	_, _, err = ApplyRuntime(ctx, host, func() (Edit, error) {
		wanted := host.Store().Wanted()
		cfg, err := config.ParseGeneration(wanted.Generation.Number, wanted.Generation.Config)
		if err != nil {
			return Edit{}, err
		}
		return planOverlay(host, wanted, cfg, noteOf(wanted), nil)
	})
	return err
}
