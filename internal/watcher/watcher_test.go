package watcher

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/probe"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/flows"
)

// fake is a host without a kernel, on the clock of a synctest bubble.
type fake struct {
	t     *testing.T
	began time.Time
	stop  context.CancelFunc
	done  chan error

	mutex    sync.Mutex
	dead     func(c health.Check, now time.Duration) error // what a backend answers
	takes    time.Duration                                 // a load
	fails    func(now time.Duration) error                 // a load
	standing Standing
	signs    Signs
	unread   error // of the next reads
	gone     bool  // what is loaded was flushed
	past     health.Record

	asked   []ask
	loads   []load
	lines   []string
	states  []string // what the service manager was told
	records []health.Record
	metrics []bool
}

// ask is a check that began.
type ask struct {
	at    time.Duration
	check health.Check
}

// load is a load that ended well.
type load struct {
	at      time.Duration
	overlay restore.Overlay
	note    health.Note
	freed   restore.Freed
}

// newFake returns a host that holds a generation with this config.
func newFake(t *testing.T, toml string) *fake {
	t.Helper()
	f := &fake{t: t, began: time.Now(), done: make(chan error, 1), takes: 10 * time.Millisecond}
	f.dead = func(health.Check, time.Duration) error { return nil }
	f.fails = func(time.Duration) error { return nil }
	f.apply(1, toml)
	return f
}

// now is the time since the test began.
func (f *fake) now() time.Duration { return time.Since(f.began) }

// apply makes another config what is to be held.
func (f *fake) apply(generation int, toml string) {
	f.t.Helper()
	cfg, err := config.Parse("natspread.toml", []byte(toml))
	if err != nil {
		f.t.Fatal(err)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.standing = Standing{Generation: generation, Config: cfg, Tables: render.New(cfg)}
	f.signs = Signs{Current: fmt.Sprint(generation), Ruleset: f.signs.Ruleset + 1}
}

// seams returns the host as the watcher sees it.
func (f *fake) seams() Seams {
	return Seams{
		Now: f.now, Random: func() float64 { return 0.5 }, Ask: f.ask, Busy: func() time.Duration { return 0 },
		Addresses: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.0.0.254")}, nil },
		Signs:     func() Signs { f.mutex.Lock(); defer f.mutex.Unlock(); return f.signs },
		Read: func() (Standing, error) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			return f.standing, f.unread
		},
		Present: func(context.Context) (bool, error) { f.mutex.Lock(); defer f.mutex.Unlock(); return !f.gone, nil },
		Load:    f.load,
		Write: func(r health.Record) error {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.records = append(f.records, r)
			return nil
		},
		Connections: func(context.Context, flows.Watched) (flows.Seen, error) { return flows.Seen{}, nil },
		Notify:      func(state string) { f.mutex.Lock(); defer f.mutex.Unlock(); f.states = append(f.states, state) },
		Log: func(level Level, line string) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.lines = append(f.lines, fmt.Sprintf("%d %s", level, line))
		},
	}
}

// ask answers a check: a silent backend takes the whole timeout.
func (f *fake) ask(ctx context.Context, c health.Check) error {
	f.mutex.Lock()
	f.asked = append(f.asked, ask{f.now(), c})
	err := f.dead(c, f.now())
	f.mutex.Unlock()
	if errors.Is(err, errSilent) {
		select {
		case <-time.After(c.Timeout):
		case <-ctx.Done():
			return &probe.Unable{Reason: "the check was stopped"}
		}
	}
	return err
}

// errSilent is a backend that does not answer.
var errSilent = errors.New("no answer")

// errRefused is a backend that refuses.
var errRefused = errors.New("connection refused")

// load loads an overlay.
func (f *fake) load(ctx context.Context, o restore.Overlay, freed restore.Freed) (restore.Result, error) {
	f.mutex.Lock()
	takes, err := f.takes, f.fails(f.now())
	f.mutex.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return restore.Result{}, ctx.Err()
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	switch {
	case err != nil:
		return restore.Result{}, err
	case f.gone:
		return restore.Result{}, restore.ErrNotLoaded
	case o.Base != f.standing.Generation, o.Before != f.standing.Overlay:
		return restore.Result{}, restore.ErrStale
	}
	made := load{at: f.now(), overlay: o, freed: freed}
	f.signs.Ruleset++
	f.signs.Overlay = fmt.Sprint("overlay ", f.signs.Ruleset)
	f.standing.Note, f.standing.Tables = health.Note{}, o.Tables
	if o.None {
		f.signs.Overlay = ""
	} else if made.note, err = health.DecodeNote(o.Note); err != nil {
		f.t.Error(err)
	}
	f.standing.Note, f.standing.Overlay = made.note, f.signs.Overlay
	f.loads = append(f.loads, made)
	return restore.Result{Changed: true, Overlay: f.signs.Overlay, DeletedEntries: 12}, nil
}

// run begins a watcher.
func (f *fake) run() { f.runWith(f.seams()) }

// runWith begins one with other seams.
func (f *fake) runWith(s Seams) {
	var ctx context.Context
	ctx, f.stop = context.WithCancel(f.t.Context())
	f.done = make(chan error, 1)
	go func() { f.done <- Run(ctx, s, f.past) }()
}

// end ends the watcher, and returns its error.
func (f *fake) end() error {
	f.show()
	f.stop()
	return <-f.done
}

// show has the watcher see what the test did, and the test be done with what it read.
func (f *fake) show() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
}

// sleep lets time go on.
func (f *fake) sleep(d time.Duration) {
	f.show()
	<-time.After(d)
	synctest.Wait()
}

// out returns whom the last load left out, each as SERVICE BACKEND.
func (f *fake) out() string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	var all []string
	for _, s := range f.standing.Note.Services {
		for _, out := range s.Out {
			all = append(all, s.Name+" "+out.Backend)
		}
	}
	return strings.Join(all, ", ")
}

// wantLines asks for the lines that were logged, all or none of them in another order.
func (f *fake) wantLines(want ...string) {
	f.t.Helper()
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if got := strings.Join(f.lines, "\n"); got != strings.Join(want, "\n") {
		f.t.Errorf("it logged\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// wantOnce asks for lines each of which was logged exactly once.
func (f *fake) wantOnce(want ...string) {
	f.t.Helper()
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, line := range want {
		others := slices.DeleteFunc(slices.Clone(f.lines), func(one string) bool { return one == line })
		if said := len(f.lines) - len(others); said != 1 {
			f.t.Errorf("%q was logged %d times:\n%s", line, said, strings.Join(f.lines, "\n"))
		}
	}
}

// three is a service of three backends.
const three = `
[[service]]
name     = "web"
listen   = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
check    = "tcp"
`

// address returns a backend of three.
func address(n int) netip.AddrPort { return netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:80", n)) }

// TestDown takes out a backend that dies, after a quick look whether it is true, and puts it back when it
// is there again.
func TestDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, three)
		f.dead = flapping(20*time.Second, time.Hour, 10*time.Second)
		f.run()
		f.sleep(10 * time.Second)
		if len(f.loads) != 0 {
			t.Errorf("%d loads while all are well", len(f.loads))
		}
		f.sleep(5 * time.Second)
		if f.out() != "web 10.0.0.2:80" || len(f.loads) != 1 || f.loads[0].at > 10*time.Second+2*time.Second+2*500*time.Millisecond+30*time.Millisecond {
			t.Errorf("%q is out by %d loads", f.out(), len(f.loads))
		}
		f.sleep(20 * time.Second)
		if f.out() != "" || len(f.loads) != 2 || !f.loads[1].overlay.None {
			t.Errorf("%q is out by %d loads", f.out(), len(f.loads))
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
		f.wantLines("6 generation 1: 3 checks of 1 service",
			"4 10.0.0.2:80 is down: connection refused (3 times in 1.0 s); web: 2 of 3 up",
			"5 rules changed: 1 backend out of 1 service, in 10 ms; 12 connections sent elsewhere",
			"5 10.0.0.2:80 is up again after 22s; web: 3 of 3 up",
			"5 rules changed: no backend out, in 10 ms; 12 connections sent elsewhere",
			"6 stopped; the rules stay as they are")
	})
}

// TestFreed says whose connections a load sends elsewhere: of the services that changed, and of the
// backends that got new ones.
func TestFreed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, strings.Replace(three, `"10.0.0.3:80"`, `{ address = "10.0.0.3:80", drain = true }`, 1)+`on_down = "reset"`+"\n"+
			strings.NewReplacer("web", "api", "192.0.2.10", "192.0.2.11", "10.0.0.", "10.0.1.").Replace(three))
		f.dead = func(c health.Check, now time.Duration) error {
			if c.Target == address(2) || c.Target == address(3) {
				return errRefused
			}
			return nil
		}
		f.run()
		f.sleep(10 * time.Second)
		if err := f.end(); err != nil || len(f.loads) != 1 {
			t.Fatalf("%d loads, %v", len(f.loads), err)
		}
		freed := f.loads[0].freed
		if len(freed.Before) != 1 || len(freed.After) != 1 || fmt.Sprint(freed.Before[0].Backends, freed.After[0].Backends) != "[10.0.0.1:80 10.0.0.2:80] [10.0.0.1:80]" ||
			!freed.Before[0].Reset || !freed.After[0].Reset {
			t.Errorf("it frees %+v", freed)
		}
	})
}
