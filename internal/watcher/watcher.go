package watcher

import (
	"context"
	"errors"
	"sync"
	"time"

	"natspread/internal/health"
	"natspread/internal/probe"
)

// How often the watcher looks and writes.
const (
	followEvery  = 250 * time.Millisecond // whether something else is to be held
	idleEvery    = time.Second            // the same where nothing is checked
	rereadEvery  = 10 * time.Second       // what could not be read
	writeEvery   = 10 * time.Second
	firstWrite   = time.Second // from the first answer to a check
	beatEvery    = 10 * time.Second
	lookEvery    = 10 * time.Second // at connection tracking
	rareLook     = 60 * time.Second // the same where it has many entries
	manyEntries  = 200_000
	presentEvery = 30 * time.Second // where no number tells that rules were changed
	metricsEvery = 15 * time.Second

	// costlyFactor is how many times as long as it took the writing of metrics rests, and the look
	// whether rules are loaded: with many services both take long.
	costlyFactor = 50
)

// watcher is the state of Run, all of it the loop's own.
type watcher struct {
	Seams
	ctx  context.Context
	ends chan func(now time.Duration) // what ran beside the loop ends by one of these
	wait sync.WaitGroup

	machine  *health.Machine
	schedule health.Schedule
	counts   health.Record // its counters
	following
	loading
	journal

	write, look, metrics job
	beat                 time.Duration // the next one
	ready                bool
	unreachable          map[health.Check]bool // up, and no connection to them is answered
	failure              error                 // ends Run
}

// Run watches until the context ends. It takes over what the watcher before knew, from its
// record. An error says why nothing can be watched from the start.
func Run(ctx context.Context, s Seams, past health.Record) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx)) // what goes on when ctx ends may come to its end
	defer stop()
	now := s.Now()
	w := &watcher{
		Seams: s, ctx: inner, ends: make(chan func(time.Duration)), counts: past, beat: now + beatEvery,
		machine: health.NewMachine(past.Checks), journal: journal{print: s.Log}, unreachable: map[health.Check]bool{},
	}
	w.counts.Checks = nil
	w.schedule.Late = past.Late
	w.look.next = now + lookEvery
	w.loop(ctx)
	w.finishLoad()
	stop()
	w.wait.Wait()
	w.finish()
	return w.failure
}

// loop waits for what comes first: something that is due, or that ended.
func (w *watcher) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for w.failure == nil {
		select {
		case <-ctx.Done():
			return
		case end := <-w.ends:
			end(w.Now())
		case <-timer.C:
		}
		now := w.Now()
		timer.Reset(w.step(now) - now)
	}
}

// finishLoad waits for a load that is under way. A load that is stopped reverts what it did, and
// backends that are down would get connections until the next watcher has begun.
func (w *watcher) finishLoad() {
	late := time.After(stopTimeout)
	for w.pace.loading {
		select {
		case end := <-w.ends:
			end(w.Now())
		case <-late:
			return
		}
	}
}

// finish leaves behind what the next watcher goes on with. The rules stay as they are.
func (w *watcher) finish() {
	w.Notify("STOPPING=1")
	if w.ready {
		w.report(Error, w.Write(w.record(w.Now())))
	}
	if w.Metrics != nil {
		ctx, done := context.WithTimeout(context.Background(), stopTimeout)
		defer done()
		w.report(Warning, w.Metrics(ctx, false))
	}
	w.print(Info, "stopped; the rules stay as they are")
}

// stopTimeout bounds what is waited for at the end.
const stopTimeout = 5 * time.Second

// step begins all that is due, and returns when it is to be called again at the latest.
func (w *watcher) step(now time.Duration) time.Duration {
	start, next := w.schedule.Start(now, w.machine.Up)
	for _, check := range start {
		w.ask(check)
	}
	next = min(next, w.follow(now), w.load(now), w.sweep(now, w.loadsSoon()))
	next = min(next, w.beatNow(now))
	next = min(next, w.write.step(now, w.ready, w.writeNow))
	next = min(next, w.look.step(now, len(w.users) > 0, w.lookNow))
	return min(next, w.metrics.step(now, w.Metrics != nil && w.ready, w.metricsNow))
}

// beside runs work beside the loop. What it returns is done by the loop, unless that has ended.
func (w *watcher) beside(work func() (end func(now time.Duration))) {
	w.wait.Go(func() {
		end := work()
		select {
		case w.ends <- end:
		case <-w.ctx.Done():
		}
	})
}

// ask begins a check beside the loop; its answer comes to take.
func (w *watcher) ask(check health.Check) {
	balanced := w.balanced[check]
	w.beside(func() func(time.Duration) {
		answer := w.askOnce(w.ctx, check, balanced)
		return func(now time.Duration) { w.take(now, check, answer) }
	})
}

// askOnce makes a check, unless it would be balanced.
func (s Seams) askOnce(ctx context.Context, check health.Check, balanced string) health.Answer {
	if balanced != "" {
		return health.Answer{Outcome: health.Unable, Reason: balanced}
	}
	began := s.Now()
	return answerOf(s.Ask(ctx, check), s.Now()-began)
}

// answerOf sorts the outcomes of checks.
func answerOf(err error, took time.Duration) health.Answer {
	var unable *probe.Unable
	switch {
	case err == nil:
		return health.Answer{Outcome: health.OK, Took: took}
	case errors.As(err, &unable):
		return health.Answer{Outcome: health.Unable, Reason: unable.Reason, Took: took}
	}
	return health.Answer{Outcome: health.Failed, Reason: err.Error(), Took: took}
}

// take counts an answer. Where the backend turns by it, the services that use it choose anew. The
// metrics wait for the load that follows: before it they would describe rules that go.
func (w *watcher) take(now time.Duration, check health.Check, answer health.Answer) {
	was, _ := w.machine.Of(check)
	turn, turned := w.machine.Take(now, check, answer)
	w.schedule.Done(check, now+w.machine.Wait(check, w.Random()))
	if answer.Outcome == health.Unable {
		w.sayUnable(now, w.nameOf(check), answer.Reason)
	}
	if turned {
		w.turned(now, turn)
		w.write.hurry(now)
	}
	if turned && !w.loadsSoon() {
		w.metrics.hurry(now)
	}
	if is, _ := w.machine.Of(check); is.State != was.State {
		w.write.soon(now, firstWrite)
	}
}

// turned has the services of a backend choose anew.
func (w *watcher) turned(now time.Duration, turn health.Turn) {
	delete(w.unreachable, turn.Check)
	var changes []change
	for _, i := range w.users[turn.Check] {
		changes = append(changes, w.choose(i))
	}
	w.sayTurn(now, w.nameOf(turn.Check), turn, changes)
	w.wantLoad(now)
}

// nameOf returns a backend of a check, as the config writes it.
func (w *watcher) nameOf(check health.Check) string {
	if backends := w.backends[check]; len(backends) > 0 {
		return backends[0].String()
	}
	return check.Target.String()
}

// record returns what is known of all checks.
func (w *watcher) record(now time.Duration) health.Record {
	record := w.counts
	record.Generation, record.Beat, record.Late = w.held.Generation, now, w.schedule.Late
	record.Checks = w.machine.Records()
	return record
}

// writeNow keeps what is known.
func (w *watcher) writeNow(now time.Duration) {
	record := w.record(now)
	w.beside(func() func(time.Duration) {
		err := w.Write(record)
		return func(now time.Duration) {
			w.report(Error, err)
			w.write.end(now, writeEvery, leastWait, restFactor)
		}
	})
}

// metricsNow writes what Prometheus reads.
func (w *watcher) metricsNow(time.Duration) {
	w.beside(func() func(time.Duration) {
		err := w.Metrics(w.ctx, true)
		return func(now time.Duration) {
			w.report(Warning, ignoreEnd(w.ctx, err))
			w.metrics.end(now, metricsEvery, time.Second, costlyFactor)
		}
	})
}

// beatNow tells the service manager that all goes on, unless something hangs.
func (w *watcher) beatNow(now time.Duration) time.Duration {
	if now < w.beat {
		return w.beat
	}
	w.beat = now + beatEvery
	if w.write.hangs(now, beatEvery) || w.read.hangs(now, hangsAfter) || w.pace.loading && w.Busy() > hangsAfter {
		return w.beat
	}
	w.Notify("WATCHDOG=1")
	return w.beat
}

// hangsAfter is how long one thing may take that a load waits for: the lock 5 s, a program 30 s.
const hangsAfter = 40 * time.Second
