package watcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/render"
	"natspread/restore"
)

// flapping is a backend that is gone for so long, and there for so long, from a time on.
func flapping(down, up, from time.Duration) func(health.Check, time.Duration) error {
	return func(c health.Check, now time.Duration) error {
		if c.Target == address(2) && now >= from && (now-from)%(down+up) < down {
			return errRefused
		}
		return nil
	}
}

// TestFlapping loads seldom for a backend that comes and goes: it has to stay for longer each time.
func TestFlapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(3*time.Second, 3*time.Second, 10*time.Second)
		f.run()
		f.sleep(70 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 3 {
			t.Errorf("%d loads in 60 s, %v; want 3", len(f.loads), err)
		}
	})
}

// many is a config of so many services of three backends each.
func many(services int) string {
	var b strings.Builder
	for i := range services {
		fmt.Fprintf(&b, "[[service]]\nname = \"s%d\"\nlisten = \"192.0.2.10:%d\"\ncheck = \"tcp\"\nbackends = [", i, 1024+i)
		for j := range 3 {
			fmt.Fprintf(&b, "\"10.%d.%d.%d:80\", ", j, i/250, 1+i%250)
		}
		b.WriteString("]\n")
	}
	return b.String()
}

// TestHalfDies has half of 3,000 backends die at once: all are out after few loads, soon where they refuse,
// and a little later where they are silent.
func TestHalfDies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		death  error
		within time.Duration
	}{"refused": {errRefused, 5 * time.Second}, "silent": {errSilent, 7 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, many(1000))
				dies := 10*time.Second + 300*time.Millisecond
				f.takes = 70 * time.Millisecond // as long as nft takes for a thousand services
				f.dead = func(c health.Check, now time.Duration) error {
					if ip := c.Target.Addr().As4(); now >= dies && (ip[1] == 1 || ip[1] == 2 && ip[3]%2 == 0) {
						return test.death
					}
					return nil
				}
				f.run()
				f.sleep(30 * time.Second)
				if err := f.end(); err != nil {
					t.Error(err)
				}
				if out := strings.Count(f.out(), "10."); out != 1500 || len(f.loads) > 8 {
					t.Errorf("%d are out after %d loads", out, len(f.loads))
				}
				if last := f.loads[len(f.loads)-1].at - dies; last > test.within {
					t.Errorf("the last was loaded after %v", last)
				}
				if f.records[len(f.records)-1].LoadsOK != uint64(len(f.loads)) {
					t.Errorf("it counted %d loads", f.records[len(f.records)-1].LoadsOK)
				}
				downs := 0
				for _, line := range f.lines {
					downs += strings.Count(line, " is down: ")
				}
				if downs > mostTurns*len(f.loads) || !strings.Contains(strings.Join(f.lines, "\n"), "\n4 and ") {
					t.Errorf("%d lines for %d loads", downs, len(f.loads))
				}
			})
		})
	}
}

// TestNeverMore starts at most 2,000 checks in any second.
func TestNeverMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, many(1300)) // 1,950 a second, and more while all fail
		f.dead = func(health.Check, time.Duration) error { return errRefused }
		f.run()
		f.sleep(12 * time.Second)
		if err := f.end(); err != nil {
			t.Error(err)
		}
		first := 0
		for i, one := range f.asked {
			for f.asked[first].at <= one.at-time.Second {
				first++
			}
			if i-first+1 > 2000 {
				t.Fatalf("%d checks began in the second before %v", i-first+1, one.at)
			}
		}
		if len(f.asked) < 15_000 {
			t.Errorf("only %d checks in 12 s", len(f.asked))
		}
	})
}

// TestLockHeld goes on checking while a load waits for others, and loads soon after.
func TestLockHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		free := 19 * time.Second
		f.fails = func(now time.Duration) error {
			if now < free {
				return errors.New("lock busy")
			}
			return nil
		}
		f.dead = flapping(time.Hour, 0, 10*time.Second)
		f.run()
		f.sleep(10 * time.Second)
		before := len(f.asked)
		f.sleep(9 * time.Second)
		if made := len(f.asked) - before; made < 12 {
			t.Errorf("%d checks while the lock was held", made)
		}
		f.sleep(10 * time.Second)
		if f.out() != "web 10.0.0.2:80" || f.loads[0].at > free+8*time.Second {
			t.Errorf("%q is out", f.out())
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
		failures := 0
		for _, line := range f.lines {
			if strings.HasPrefix(line, "3 cannot change the rules: lock busy; trying again in 1 s") {
				failures++
			}
		}
		last := f.records[len(f.records)-1]
		if failures != 1 || last.LoadsFailed < 3 || last.LoadsFailed > 4 || last.LoadsOK != 1 {
			t.Errorf("%d lines, %d failed loads, %d good ones", failures, last.LoadsFailed, last.LoadsOK)
		}
	})
}

// TestWaited rests for as long as a load took, not for as long as it waited for others before.
func TestWaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = func(c health.Check, now time.Duration) error {
			if c.Target == address(2) && now > 10*time.Second || c.Target == address(3) && now > 15*time.Second {
				return errRefused
			}
			return nil
		}
		seams := f.seams()
		seams.Load = func(ctx context.Context, o restore.Overlay, freed restore.Freed) (restore.Result, error) {
			waited := time.Duration(0)
			if len(f.loads) == 0 {
				waited = 4 * time.Second
			}
			<-time.After(waited)
			result, err := f.load(ctx, o, freed)
			result.Waited = waited
			return result, err
		}
		f.runWith(seams)
		f.sleep(20 * time.Second)
		if f.out() != "web 10.0.0.2:80, web 10.0.0.3:80" {
			t.Errorf("out are %q", f.out())
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
		if took := f.records[len(f.records)-1].LoadDuration; took > 100*time.Millisecond {
			t.Errorf("a load is told to take %v", took)
		}
	})
}

// TestFlushed leaves alone what others flushed, says so once, and goes on when it is loaded again.
func TestFlushed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 10*time.Second)
		f.run()
		f.sleep(5 * time.Second)
		set := func(gone bool) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.gone = gone
			f.signs.Ruleset++
		}
		set(true)
		f.sleep(30 * time.Second)
		if len(f.loads) != 0 {
			t.Errorf("%d loads into what was flushed", len(f.loads))
		}
		set(false)
		f.sleep(5 * time.Second)
		if f.out() != "web 10.0.0.2:80" {
			t.Errorf("%q is out after all was loaded again", f.out())
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
		f.wantLines("6 generation 1: 3 checks of 1 service",
			"4 nothing of natspread's is loaded: checking goes on, rules are left alone",
			"4 10.0.0.2:80 is down: connection refused (3 times in 1.0 s); web: 2 of 3 up",
			"5 rules changed: 1 backend out of 1 service, in 10 ms; 12 connections sent elsewhere",
			"6 stopped; the rules stay as they are")
	})
}

// TestFollow goes on with what others load: another generation, and an overlay that vanished.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 0)
		f.run()
		f.sleep(10 * time.Second)
		f.apply(2, "[[service]]\nname = \"api\"\nlisten = \"192.0.2.11:80\"\nbackends = [\"10.0.0.9:80\", \"10.0.0.2:80\"]\ncheck = \"tcp\"\n"+three)
		at := f.now()
		f.sleep(time.Second)
		if f.out() != "api 10.0.0.2:80, web 10.0.0.2:80" || f.loads[1].at-at > 300*time.Millisecond {
			t.Errorf("%q is out %v after an apply", f.out(), f.loads[1].at-at)
		}
		f.standing.Note, f.standing.Overlay, f.signs.Overlay = health.Note{}, "", ""
		f.sleep(time.Second)
		if f.out() != "api 10.0.0.2:80, web 10.0.0.2:80" || len(f.loads) != 3 {
			t.Errorf("%q is out after a restore", f.out())
		}
		f.unread = errors.New("unknown key")
		f.apply(3, three)
		f.sleep(30 * time.Second)
		if len(f.loads) != 3 {
			t.Errorf("%d loads over a generation that cannot be read", len(f.loads))
		}
		f.unread = nil
		f.sleep(15 * time.Second)
		if f.out() != "web 10.0.0.2:80" {
			t.Errorf("%q is out when it can be read again", f.out())
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestStale reads again what is to be held when a load comes too late for it.
func TestStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 10*time.Second)
		stale := 2
		f.fails = func(time.Duration) error {
			if stale--; stale >= 0 {
				return fmt.Errorf("%w: generation 2, not 1", restore.ErrStale)
			}
			return nil
		}
		reads := 0
		seams := f.seams()
		seams.Read = func() (Standing, error) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			reads++
			return f.standing, nil
		}
		f.runWith(seams)
		f.sleep(15 * time.Second)
		if f.out() != "web 10.0.0.2:80" || len(f.loads) != 1 {
			t.Errorf("%q is out", f.out())
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
		if reads < 3 {
			t.Errorf("what is to be held was read %d times, with 2 stale loads", reads)
		}
		if last := f.records[len(f.records)-1]; last.LoadsFailed != 0 {
			t.Errorf("%d failed loads", last.LoadsFailed)
		}
	})
}

// TestVanished makes a record again that somebody removed while it was loaded.
func TestVanished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 0)
		s := f.seams()
		s.Load = func(ctx context.Context, o restore.Overlay, freed restore.Freed) (restore.Result, error) {
			result, err := f.load(ctx, o, freed)
			f.mutex.Lock()
			defer f.mutex.Unlock()
			if len(f.loads) == 1 {
				f.standing.Note, f.standing.Overlay, f.signs.Overlay = health.Note{}, "", ""
			}
			return result, err
		}
		f.runWith(s)
		f.sleep(5 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 2 || f.out() != "web 10.0.0.2:80" {
			t.Errorf("%q is out by %d loads, %v", f.out(), len(f.loads), err)
		}
	})
}

// TestUnsure loads anew what nobody knows whether it was loaded.
func TestUnsure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.standing.Unsure = true
		f.run()
		f.sleep(time.Second)
		if len(f.loads) != 1 || !f.loads[0].overlay.None {
			t.Errorf("%d loads", len(f.loads))
		}
		f.standing.Unsure = false
		f.sleep(5 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 1 {
			t.Errorf("%d loads, %v", len(f.loads), err)
		}
	})
}

// TestByHand keeps out what was drained by hand.
func TestByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 10*time.Second)
		f.standing.Note = health.Note{Services: []health.ServiceNote{{Name: "web", Mode: health.Normal, Out: []health.OutNote{{Backend: "10.0.0.3:80", Reason: health.ByHand}}}}}
		f.standing.Overlay, f.signs.Overlay = "by hand", "by hand"
		f.run()
		f.sleep(5 * time.Second)
		if len(f.loads) != 0 {
			t.Errorf("%d loads", len(f.loads))
		}
		f.sleep(10 * time.Second)
		if f.out() != "web 10.0.0.2:80, web 10.0.0.3:80" {
			t.Errorf("%q is out", f.out())
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestByHandKeeps loads a backend that was drained by hand as drained, and not as down, when another goes
// down: with takeover its open connections are led to it by rules.
func TestByHandKeeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three+"snat = \"none\"\nalgorithm = \"source\"\nslots = 16\ntakeover = true\n")
		f.dead = flapping(time.Hour, 0, 0)
		byHand := health.OutNote{Backend: "10.0.0.3:80", Reason: health.ByHand}
		f.standing.Note = health.Note{Services: []health.ServiceNote{{Name: "web", Mode: health.Normal, Out: []health.OutNote{byHand}}}}
		f.standing.Overlay, f.signs.Overlay = "by hand", "by hand"
		f.run()
		f.sleep(5 * time.Second)
		if err := f.end(); err != nil || f.out() != "web 10.0.0.2:80, web 10.0.0.3:80" {
			t.Fatalf("%q is out, %v", f.out(), err)
		}
		want := config.Config{Services: slices.Clone(f.standing.Config.Services)}
		want.Services[0].Backends = slices.Clone(want.Services[0].Backends)
		want.Services[0].Backends[1].Out, want.Services[0].Backends[2].Drain = true, true
		if !f.loads[0].overlay.Tables.Equal(render.New(want)) {
			t.Errorf("it loaded other rules than those of a drained backend")
		}
	})
}
