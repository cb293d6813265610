package watcher

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"natspread/internal/health"
	"natspread/internal/probe"
	"natspread/restore/flows"
)

// TestRestart goes on with the states of the watcher before, and changes nothing for that.
func TestRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 5*time.Second)
		f.run()
		f.sleep(15 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 1 {
			t.Fatalf("%d loads, %v", len(f.loads), err)
		}
		f.past = f.records[len(f.records)-1]
		f.run()
		f.sleep(15 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 1 || f.out() != "web 10.0.0.2:80" {
			t.Errorf("%d loads, %q is out, %v", len(f.loads), f.out(), err)
		}
		if said := "6 generation 1: 3 checks of 1 service; known to be down: 10.0.0.2:80"; !slices.Contains(f.lines, said) {
			t.Errorf("it said\n%s", strings.Join(f.lines, "\n"))
		}
		last := f.records[len(f.records)-1]
		if last.LoadsOK != 1 || last.Checks[1].Failed <= f.past.Checks[1].Failed || last.Checks[1].Since != f.past.Checks[1].Since {
			t.Errorf("it did not go on from\n%+v\nto\n%+v", f.past.Checks[1], last.Checks[1])
		}
	})
}

// TestLostRecord leaves out who is out where what the watcher before knew is lost: the overlay says so.
func TestLostRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(15*time.Second, time.Hour, 5*time.Second)
		f.run()
		f.sleep(15 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 1 {
			t.Fatalf("%d loads, %v", len(f.loads), err)
		}
		f.run()
		f.sleep(time.Second)
		f.mutex.Lock()
		first := f.records[len(f.records)-1].Checks[1]
		f.mutex.Unlock()
		f.sleep(3 * time.Second)
		if len(f.loads) != 1 || first.State != health.Down || first.Reason != "connection refused" {
			t.Errorf("%d loads, it begins with %+v", len(f.loads), first)
		}
		f.sleep(10 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 2 || f.out() != "" {
			t.Errorf("%d loads, %q is out, %v", len(f.loads), f.out(), err)
		}
	})
}

// TestEndOfLoad ends no watcher while a load is under way, and not later than a service manager waits for.
func TestEndOfLoad(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ takes, least, most time.Duration }{
		"soon": {2 * time.Second, time.Second, 3 * time.Second}, "never": {time.Hour, 5 * time.Second, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, three)
				f.takes = test.takes
				f.dead = flapping(time.Hour, 0, 0)
				f.run()
				f.sleep(time.Second)
				at := f.now()
				err := f.end()
				if took := f.now() - at; err != nil || took < test.least || took > test.most {
					t.Errorf("it ended after %v, %v", took, err)
				}
				if loads := len(f.loads); loads != 1 && name == "soon" || f.records[len(f.records)-1].LoadsOK != uint64(loads) {
					t.Errorf("%d loads", loads)
				}
			})
		})
	}
}

// TestFailOpen gives all backends connections where none is up, says that gravely, and ends it.
func TestFailOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = func(c health.Check, now time.Duration) error {
			if now > 10*time.Second && (now < 30*time.Second || c.Target == address(1)) {
				return errRefused
			}
			return nil
		}
		f.run()
		f.sleep(20 * time.Second)
		if f.out() != "" {
			t.Errorf("%q is out", f.out())
		}
		f.sleep(20 * time.Second)
		if f.out() != "web 10.0.0.1:80" {
			t.Errorf("%q is out", f.out())
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
		f.wantOnce("2 web: none of 3 backends is up: all get connections (fail-open)",
			"5 web: 1 of 3 up: only these get connections (fail-open ends)")
	})
}

// TestBackup has a backup join, and leave again.
func TestBackup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, strings.Replace(three, `"10.0.0.3:80"`, `{ address = "10.0.0.3:80", backup = true }`, 1)+"min_up = 2\n")
		f.dead = flapping(20*time.Second, time.Hour, 10*time.Second)
		f.run()
		f.sleep(20 * time.Second)
		if joined := f.standing.Note.Services[0].Joined; f.out() != "web 10.0.0.2:80" || !slices.Equal(joined, []string{"10.0.0.3:80"}) {
			t.Errorf("%q is out, %q joined", f.out(), joined)
		}
		f.sleep(20 * time.Second)
		if err := f.end(); err != nil || len(f.standing.Note.Services) != 0 {
			t.Errorf("%+v, %v", f.standing.Note, err)
		}
		f.wantOnce("4 web: 1 of 2 up, fewer than min_up = 2: backups join",
			"5 rules changed: 1 backend out of 1 service, 1 backup in use, in 10 ms; 12 connections sent elsewhere",
			"5 web: 2 of 2 up: backups leave")
	})
}

// TestNotify tells the service manager when all is ready, and that all goes on: not while something hangs.
func TestNotify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 40*time.Second)
		s := f.seams()
		hangs := make(chan struct{})
		began := time.Duration(0)
		s.Busy = func() time.Duration { f.mutex.Lock(); defer f.mutex.Unlock(); return f.now() - began }
		f.takes = time.Hour
		write := s.Write
		s.Write = func(r health.Record) error {
			if f.now() > 150*time.Second {
				<-hangs
			}
			return write(r)
		}
		beats := func() (n int) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			for _, state := range f.states {
				if state == "WATCHDOG=1" {
					n++
				}
			}
			return n
		}
		f.runWith(s)
		f.sleep(35 * time.Second)
		if f.states[0] != "READY=1" || beats() != 3 {
			t.Errorf("it told %q", f.states)
		}
		began = 40 * time.Second // a load begins, and waits for one thing
		f.sleep(40 * time.Second)
		if beats() != 7 {
			t.Errorf("%d beats while a load waits within its bounds", beats())
		}
		f.sleep(30 * time.Second)
		if beats() != 8 {
			t.Errorf("%d beats while a load hangs", beats())
		}
		began = 105 * time.Second // it goes on
		f.sleep(30 * time.Second)
		if beats() != 11 {
			t.Errorf("%d beats after it went on", beats())
		}
		began = time.Hour
		f.sleep(60 * time.Second)
		if beats() > 14 {
			t.Errorf("%d beats while a writing hangs", beats())
		}
		close(hangs)
		if err := f.end(); err != nil {
			t.Error(err)
		}
		if last := f.states[len(f.states)-1]; last != "STOPPING=1" {
			t.Errorf("it told %q last", last)
		}
	})
}

// TestUnreadable ends at once where the config cannot be read at the start.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.unread = errors.New("unknown key")
		f.run()
		if err := <-f.done; !errors.Is(err, f.unread) || slices.Contains(f.states, "READY=1") || len(f.records) != 0 {
			t.Errorf("it ended by %v and told %q", err, f.states)
		}
	})
}

// TestNothing waits where nothing is applied, and where nothing is checked.
func TestNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.standing, f.signs = Standing{}, Signs{}
		f.run()
		f.sleep(5 * time.Second)
		f.apply(1, strings.Replace(three, "check ", "# check", 1))
		f.sleep(5 * time.Second)
		if len(f.asked) != 0 {
			t.Errorf("%d checks of nothing", len(f.asked))
		}
		f.apply(2, three)
		f.sleep(5 * time.Second)
		if len(f.asked) < 6 {
			t.Errorf("%d checks", len(f.asked))
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
		f.wantLines("6 nothing is applied yet: nothing to check", "6 generation 1: 0 checks of 1 service", "6 generation 2: 3 checks of 1 service", "6 stopped; the rules stay as they are")
	})
}

// TestSleep checks a few at a time after the machine slept, and counts nobody's sleep as a failure.
func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, many(100))
		slept := time.Duration(0)
		s := f.seams()
		s.Now = func() time.Duration { f.mutex.Lock(); defer f.mutex.Unlock(); return f.now() + slept }
		f.runWith(s)
		f.sleep(10 * time.Second)
		before := len(f.asked)
		slept = time.Hour
		f.sleep(time.Second)
		if made := len(f.asked) - before; made > 300/2+2 || made < 100 {
			t.Errorf("%d checks in the second after an hour of sleep", made)
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestUnable says once a minute that a backend cannot be asked, and takes nobody out for it.
func TestUnable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = func(health.Check, time.Duration) error { return &probe.Unable{Reason: "too many open files"} }
		f.run()
		f.sleep(90 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 0 {
			t.Errorf("%d loads, %v", len(f.loads), err)
		}
		said := 0
		for _, line := range f.lines {
			if strings.HasSuffix(line, ":80: too many open files") && strings.HasPrefix(line, "4 cannot check 10.0.0.") {
				said++
			}
		}
		if said != 2 {
			t.Errorf("said %d times:\n%s", said, strings.Join(f.lines, "\n"))
		}
	})
}

// TestBalanced does not ask a backend whose check a service would balance.
func TestBalanced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, `
[[service]]
name     = "any"
listen   = "*:80"
backends = ["10.0.0.254:80", "10.0.0.1:80"]
check    = "tcp"
`)
		f.run()
		f.sleep(10 * time.Second)
		if err := f.end(); err != nil {
			t.Error(err)
		}
		for _, one := range f.asked {
			if one.check.Target == netip.MustParseAddrPort("10.0.0.254:80") {
				t.Fatal("its check was balanced")
			}
		}
		if !slices.Contains(f.lines, `4 cannot check 10.0.0.254:80: its check would be balanced by service "any"`) {
			t.Errorf("it said\n%s", strings.Join(f.lines, "\n"))
		}
	})
}

// TestTrouble goes on where states cannot be kept, connection tracking cannot be read and this host's addresses
// are not known, and says each once.
func TestTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 20*time.Second)
		s := f.seams()
		s.Write = func(health.Record) error { return errors.New("cannot write health.json: no space left on device") }
		s.Connections = func(context.Context, flows.Watched) (flows.Seen, error) {
			return flows.Seen{}, errors.New("cannot read connection tracking: x")
		}
		s.Addresses = func() ([]netip.Addr, error) { return nil, errors.New("cannot list addresses: y") }
		f.runWith(s)
		f.sleep(45 * time.Second)
		if err := f.end(); err != nil || f.out() != "web 10.0.0.2:80" || !slices.Contains(f.states, "WATCHDOG=1") {
			t.Errorf("%q is out, it told %q, %v", f.out(), f.states, err)
		}
		f.wantOnce("3 cannot write health.json: no space left on device", "4 cannot read connection tracking: x", "4 cannot list addresses: y")
	})
}

// TestUnreachable says once that a backend passes its check while no connection to it is answered, and does not take it out.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		s := f.seams()
		s.Connections = func(_ context.Context, w flows.Watched) (flows.Seen, error) {
			if !w.Backends[address(2)] || len(w.Down) != 0 {
				t.Errorf("it watches %+v", w)
			}
			return flows.Seen{Backends: map[netip.AddrPort]flows.Connections{address(1): {Answered: 140}, address(2): {Unanswered: 60}}}, nil
		}
		f.runWith(s)
		f.sleep(45 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 0 {
			t.Errorf("%d loads, %v", len(f.loads), err)
		}
		f.wantLines("6 generation 1: 3 checks of 1 service",
			"4 10.0.0.2:80 passes its check, but none of 60 connections to it was answered: does its route back lead through this host?",
			"6 stopped; the rules stay as they are")
		if last := f.records[len(f.records)-1].Checks; last[0].Answered != 140 || last[1].Unanswered != 60 {
			t.Errorf("it keeps %+v", last)
		}
	})
}

// TestMetrics writes soon after a change, now and then beside, and a last time at the end; never so often
// that it would do little else.
func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 50*time.Second)
		var at []time.Duration
		takes := time.Duration(0)
		s := f.seams()
		s.Metrics = func(_ context.Context, alive bool) error {
			f.mutex.Lock()
			pause := time.After(takes)
			f.mutex.Unlock()
			<-pause
			f.mutex.Lock()
			defer f.mutex.Unlock()
			at = append(at, f.now())
			f.metrics = append(f.metrics, alive)
			return errors.New("cannot write natspread.prom: no space left on device")
		}
		f.runWith(s)
		f.sleep(50 * time.Second)
		if len(at) < 4 || len(at) > 6 {
			t.Errorf("written at %v", at)
		}
		f.sleep(5 * time.Second)
		if last := at[len(at)-1]; last < 50*time.Second || last-f.loads[0].at > time.Second {
			t.Errorf("written at %v, loaded at %v", at, f.loads[0].at)
		}
		takes = time.Second
		f.sleep(2 * time.Minute)
		if late := at[len(at)-2:]; late[1]-late[0] < 50*time.Second {
			t.Errorf("written at %v", at)
		}
		if err := f.end(); err != nil || f.metrics[len(f.metrics)-1] || slices.Contains(f.metrics[:len(f.metrics)-1], false) {
			t.Errorf("it wrote whether a watcher lives: %v, %v", f.metrics, err)
		}
		f.wantOnce("4 cannot write natspread.prom: no space left on device")
	})
}

// TestFirstAnswers has what is known of each check written soon after its first answer: status
// would call it not checked yet for as long as nothing else happens.
func TestFirstAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.run()
		f.sleep(2500 * time.Millisecond)
		f.mutex.Lock()
		for _, known := range f.records[len(f.records)-1].Checks {
			if known.State != health.Up {
				t.Errorf("after 2.5 s %v is written as %s", known.Check.Target, known.State)
			}
		}
		written := len(f.records)
		f.mutex.Unlock()
		f.sleep(7 * time.Second)
		if more := len(f.records) - written; more > 1 {
			t.Errorf("%d records in 7 s without news", more)
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestMetricsAfterLoad has metrics written when the rules that follow a turn are loaded, not before:
// the next writing may have to wait.
func TestMetricsAfterLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(time.Hour, 0, 10*time.Second)
		seams := f.seams()
		var written []time.Duration
		seams.Metrics = func(context.Context, bool) error {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			written = append(written, f.now())
			return nil
		}
		f.runWith(seams)
		f.sleep(14 * time.Second)
		if len(f.loads) != 1 || len(written) != 2 {
			t.Fatalf("metrics at %v, %d loads", written, len(f.loads))
		}
		if after := written[1] - f.loads[0].at; after < 0 || after > 100*time.Millisecond {
			t.Errorf("metrics %v after the load", after)
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	})
}
