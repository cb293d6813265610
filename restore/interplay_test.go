package restore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/testsize"
	"natspread/restore"
	"natspread/restore/generation"
)

// smallerDown is Smaller with the same backends out as down.
var smallerDown = without(hosttest.Smaller, second, second6)

// standing asks for a config of which some backends are known to be down.
func standing(t testing.TB, toml, down string) restore.Request {
	t.Helper()
	asked := request(t, toml)
	asked.Standing = &restore.Overlay{Tables: hosttest.Tables(t, down), Note: note(down)}
	return asked
}

// watch holds the watcher's lock until the test ends, or it is given back.
func watch(t *testing.T, host restore.Host) (unlock func()) {
	t.Helper()
	unlock, err := host.LockWatcher()
	hosttest.Must(t, err)
	t.Cleanup(unlock)
	return unlock
}

// TestApplyUnderOverlay has an apply of another config drop the overlay, or put the one of the
// new generation in its place. What boot loads has everybody in it.
func TestApplyUnderOverlay(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := overlayHost(t, variant)
		result := apply(t, host, hosttest.Smaller)
		if !result.Changed || result.Generation != 2 {
			t.Errorf("%+v", result)
		}
		wantNoOverlay(t, host, hosttest.Smaller)

		load(t, host, overlay(t, host, smallerDown))
		result, err := host.Apply(t.Context(), standing(t, hosttest.Article, down))
		hosttest.Must(t, err)
		if !result.Changed || result.Generation != 3 {
			t.Errorf("%+v", result)
		}
		wantOverlay(t, host, down)
		if current, err := host.Store().Current(); err != nil || !current.Tables.Equal(hosttest.Tables(t, hosttest.Article)) {
			t.Errorf("the generation is not what was asked for, %v", err)
		}
		if result, err = host.Apply(t.Context(), standing(t, hosttest.Article, down)); err != nil || result.Changed {
			t.Errorf("again: %+v, %v", result, err)
		}
		load(t, host, up(t, host))
		wantNoOverlay(t, host, hosttest.Article)
	})
}

// TestApplyUnderOverlayMends has an apply of the same config mend what somebody changed, with
// those out that are known to be down.
func TestApplyUnderOverlayMends(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := overlayHost(t, variant)
		hosttest.IPTables(t, variant, rules.IPv4, "-F NATSPREAD-POST")
		result, err := host.Apply(t.Context(), standing(t, hosttest.Article, down))
		if err != nil || !result.Changed || result.Generation != 1 {
			t.Errorf("%+v, %v", result, err)
		}
		wantOverlay(t, host, down)
		hosttest.IPTables(t, variant, rules.IPv4, "-F NATSPREAD-POST")
		apply(t, host, hosttest.Article)
		wantNoOverlay(t, host, hosttest.Article)
	})
}

// TestApplyUnderOverlayFails lets an apply fail at each of its steps: the overlay stays.
func TestApplyUnderOverlayFails(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := overlayHost(t, variant)
		before := state(t, host)
		for name, asked := range map[string]restore.Request{
			"without":  request(t, hosttest.Smaller),
			"standing": standing(t, hosttest.Smaller, smallerDown),
		} {
			for step, run := range map[string]func(program.Runner) program.Runner{
				"the proof": lieInProof, "IPv4": failOn(rules.IPv4), "IPv6": failOn(rules.IPv6),
			} {
				t.Run(name+", "+step, func(t *testing.T) {
					failing := host
					failing.Run = run(host.Run)
					_, err := failing.Apply(t.Context(), asked)
					wantUnchanged(t, host, before, err, nil)
				})
			}
			t.Run(name+", forwarding", func(t *testing.T) {
				hosttest.SetForwarding(t, "01")
				before := state(t, host)
				readOnlySysctls(t, func() {
					_, err := host.Apply(t.Context(), asked)
					wantUnchanged(t, host, before, err, nil)
				})
				hosttest.SetForwarding(t, "11")
			})
		}
		wantOverlay(t, host, down)
	})
}

// TestTrialUnderOverlay tries a config of which some backends are known to be down: the
// overlay of the trial stays when it is confirmed, and goes when it is not.
func TestTrialUnderOverlay(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, end := range []string{"confirmed", "confirmed with another one", "reverted", "overdue", "restored", "failed"} {
			t.Run(end, func(t *testing.T) {
				host := overlayHost(t, variant)
				before := state(t, host)
				trial, trying := (&revertTimer{}).trial(), host
				if end == "overdue" {
					trial.For = time.Second
				}
				if end == "failed" {
					trying.Run = failOn(rules.IPv6)(host.Run)
				}
				result, err := trying.Try(t.Context(), standing(t, hosttest.Smaller, smallerDown), trial)
				if end == "failed" {
					wantUnchanged(t, host, before, err, nil)
					wantOverlay(t, host, down)
					return
				}
				if err != nil || !result.Changed {
					t.Fatalf("%+v, %v", result, err)
				}
				wantOverlay(t, host, smallerDown)
				switch end {
				case "confirmed with another one":
					load(t, host, up(t, host))
					load(t, host, overlay(t, host, without(hosttest.Smaller, second)))
					_, err = host.Confirm(t.Context())
					hosttest.Must(t, err)
					wantOverlay(t, host, without(hosttest.Smaller, second))
					return
				case "confirmed":
					_, err = host.Confirm(t.Context())
					hosttest.Must(t, err)
					wantOverlay(t, host, smallerDown)
					return
				case "reverted":
					_, err = host.Revert(t.Context())
				case "overdue":
					_, err = host.RevertOverdue(t.Context())
				case "restored":
					watch(t, host)()
					_, err = host.Restore(t.Context())
				}
				hosttest.Must(t, err)
				wantNoOverlay(t, host, hosttest.Article)
			})
		}
	})
}

// TestRestoreUnderOverlay changes nothing where the kernel holds an overlay that somebody
// looks after. Else it loads the generation, with everybody in it.
func TestRestoreUnderOverlay(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for name, c := range map[string]struct {
			spoil func(t *testing.T, host restore.Host)
			stays bool
		}{
			"watched":     {func(t *testing.T, host restore.Host) { watch(t, host) }, true},
			"not watched": {func(t *testing.T, host restore.Host) { watch(t, host)() }, false},
			"edited": {func(t *testing.T, host restore.Host) {
				watch(t, host)
				hosttest.IPTables(t, variant, rules.IPv4, "-F NATSPREAD-POST")
			}, false},
			"flushed": {func(t *testing.T, host restore.Host) {
				watch(t, host)
				hosttest.Boot(t, variant)
			}, false},
			"behind others": {func(t *testing.T, host restore.Host) {
				watch(t, host)
				hosttest.IPTables(t, variant, rules.IPv4, "-I PREROUTING 1 -j RETURN")
			}, false},
			"altered": {func(t *testing.T, host restore.Host) {
				watch(t, host)
				hosttest.Must(t, os.Remove(filepath.Join(host.Root, paths.Overlay, "note")))
			}, false},
			"of another boot": {func(t *testing.T, host restore.Host) {
				watch(t, host)
				hosttest.Must(t, replaced(`"namespace":"`, `"namespace":"x`)(filepath.Join(host.Root, paths.Overlay, "manifest")))
			}, false},
		} {
			t.Run(name, func(t *testing.T) {
				hosttest.Boot(t, variant)
				host := overlayHost(t, variant)
				c.spoil(t, host)
				result, err := host.Restore(t.Context())
				hosttest.Must(t, err)
				if result.Loaded == c.stays || result.Changed == c.stays {
					t.Errorf("%+v", result)
				}
				if c.stays {
					wantOverlay(t, host, down)
				} else {
					wantNoOverlay(t, host, hosttest.Article)
				}
			})
		}
	})
}

// TestStopUnderOverlay drops the overlay with the rules.
func TestStopUnderOverlay(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := overlayHost(t, variant)
		_, err := host.Stop(t.Context())
		hosttest.Must(t, err)
		wantNotLoaded(t, host)
		wantNoRecord(t, host)
		_, err = host.LoadOverlay(t.Context(), overlay(t, host, down), restore.Freed{})
		if !errors.Is(err, restore.ErrNotLoaded) {
			t.Errorf("%v", err)
		}
		wantNoRecord(t, host)
	})
}

// TestWatcherLock lets one watcher at a time have the lock, and others see it.
func TestWatcherLock(t *testing.T) {
	host := newHost(t, rules.NFT)
	if host.WatcherAlive() {
		t.Error("one is alive before any was")
	}
	unlock := watch(t, host)
	if !host.WatcherAlive() {
		t.Error("none is alive")
	}
	if _, err := host.LockWatcher(); !errors.Is(err, program.ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	unlock()
	if host.WatcherAlive() {
		t.Error("one is alive still")
	}
	watch(t, host)
}

// TestWatcherProcess names who holds the lock of natspread health, and no other lock.
func TestWatcherProcess(t *testing.T) {
	host := newHost(t, rules.NFT)
	if id := host.WatcherProcess(); id != 0 {
		t.Errorf("before any lock: %d", id)
	}
	watch(t, host)()
	lock := filepath.Join(host.Root, paths.HealthLock)
	// What another test starts at this moment has the file until it runs its program.
	await.True(t, "nobody holds the lock", func() bool { return host.WatcherProcess() == 0 })
	other := exec.CommandContext(t.Context(), "flock", "-x", "-F", lock, "sleep", "1h")
	hosttest.Must(t, other.Start())
	await.True(t, "the lock is held", func() bool { return host.WatcherProcess() == other.Process.Pid })
	hosttest.Must(t, other.Process.Kill())
	_ = other.Wait() // killed
	if id := host.WatcherProcess(); id != 0 {
		t.Errorf("when it has ended: %d", id)
	}
}

// TestRace changes what is loaded in every way while a backend flaps. What stands in the end
// is in sync, with the record or without.
func TestRace(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		watch(t, host)
		ctx, stop := context.WithCancel(t.Context())
		var flapping sync.WaitGroup
		flapping.Go(func() { flap(ctx, t, host) })
		random := rand.New(rand.NewPCG(1, uint64(len(variant))))
		for range testsize.Of(60, 200) {
			verb(t, host, random.IntN(6))
		}
		stop()
		flapping.Wait()
		_, err := host.Revert(t.Context())
		if err != nil && !errors.Is(err, generation.ErrNothingPending) {
			t.Error(err)
		}
		apply(t, host, hosttest.Article)
		load(t, host, overlay(t, host, down))
		wantOverlay(t, host, down)
		load(t, host, up(t, host))
		wantNoOverlay(t, host, hosttest.Article)
	})
}

// flap takes backends of whatever is loaded out and lets them in again.
func flap(ctx context.Context, t *testing.T, host restore.Host) {
	host.Memory = &restore.Memory{}
	for i := 0; ctx.Err() == nil; i++ {
		wanted := host.Store().Wanted()
		o := restore.Overlay{Base: wanted.Generation.Number, None: i%2 == 1}
		if wanted.Overlay != nil {
			o.Before = wanted.Overlay.Sum
		}
		toml := down
		if string(wanted.Generation.Config.Main()) == hosttest.Smaller {
			toml = smallerDown
		}
		o.Tables, o.Note = hosttest.Tables(t, toml), note(toml)
		_, err := host.LoadOverlay(t.Context(), o, restore.Freed{})
		if err != nil && !errors.Is(err, restore.ErrStale) && !errors.Is(err, restore.ErrNotLoaded) && !errors.Is(err, program.ErrBusy) {
			t.Error(err)
		}
	}
}

// verb does one of the things that change what is loaded. That a trial waits, or none, is
// no failure; nor is that flap, which never rests, had the lock all the time: then it is done again.
func verb(t *testing.T, host restore.Host, which int) {
	t.Helper()
	err := program.ErrBusy
	for errors.Is(err, program.ErrBusy) {
		err = oneVerb(t, host, which)
	}
	waits := host.Store().RefusePending() != nil
	if err != nil && !waits && !errors.Is(err, generation.ErrNothingPending) {
		t.Errorf("verb %d: %v", which, err)
	}
}

// oneVerb does that thing once.
func oneVerb(t *testing.T, host restore.Host, which int) (err error) {
	t.Helper()
	switch which {
	case 0:
		_, err = host.Apply(t.Context(), request(t, hosttest.Article))
	case 1:
		_, err = host.Apply(t.Context(), standing(t, hosttest.Smaller, smallerDown))
	case 2:
		_, err = host.Try(t.Context(), request(t, hosttest.Smaller), (&revertTimer{}).trial())
	case 3:
		_, err = host.Confirm(t.Context())
	case 4:
		_, err = host.Revert(t.Context())
	case 5:
		_, err = host.Restore(t.Context())
	}
	return err
}

// TestCopiesUnderOverlay finds copies of netfilter-persistent good that were saved with the
// overlay, or without it, and others stale.
func TestCopiesUnderOverlay(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		hosttest.Must(t, os.MkdirAll(filepath.Join(host.Root, "etc/iptables"), 0o755))
		save := func() {
			for f, name := range map[rules.Family]string{rules.IPv4: "rules.v4", rules.IPv6: "rules.v6"} {
				hosttest.Must(t, os.WriteFile(filepath.Join(host.Root, "etc/iptables", name), []byte(hosttest.Save(t, variant, f)), 0o600))
			}
		}
		notes := func(what string, want int) {
			t.Helper()
			if s := status(t, host); len(s.Notes) != want {
				t.Errorf("%s: %q", what, s.Notes)
			}
		}
		save()
		load(t, host, overlay(t, host, down))
		notes("saved before", 0)
		save()
		notes("saved now", 0)
		load(t, host, overlay(t, host, without(down, "10.0.0.3:80", "[fd00::3]:80")))
		notes("saved with another one", 2)
	})
}
