package health

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// Outcome is what a check said of its backend.
type Outcome string

// The outcomes. Unable says nothing of the backend: the balancer could not ask.
const (
	OK     Outcome = "ok"
	Failed Outcome = "failed"
	Unable Outcome = "unable"
)

// Answer is the end of one check.
type Answer struct {
	Outcome Outcome
	Reason  string        // of Failed and Unable
	Took    time.Duration // the check
}

// Turn is that a backend went down, or came up again.
type Turn struct {
	Check  Check
	To     State         // Up or Down
	Reason string        // of the last failure
	Times  int           // answers in a row that made it turn
	Within time.Duration // from the first to the last of them
	Lasted time.Duration // the state before
}

// What bounds a backend that comes and goes.
const (
	// fallMemory is how long a fall makes the next rise longer.
	fallMemory = 10 * time.Minute
	// maxFalls is how many falls are kept: one more would not make the rise longer.
	maxFalls = 5
	// leastRecheck is how soon a failure is looked into at the soonest.
	leastRecheck = 250 * time.Millisecond
	// maxReason is how long a reason may be, in bytes.
	maxReason = 200
)

// condition is what is known of a checked backend.
type condition struct {
	CheckRecord
	streak int           // answers in a row that speak against the state
	first  time.Duration // the first of them
}

// Machine holds the states of checks. All times are of one clock that never goes back and
// that a record keeps its meaning by: CLOCK_BOOTTIME.
type Machine struct {
	known map[Check]*condition
	order []*condition
}

// NewMachine returns a machine that knows what records say: those of the watcher before.
func NewMachine(records []CheckRecord) *Machine {
	m := &Machine{known: make(map[Check]*condition, len(records))}
	for _, r := range records {
		m.add(&condition{CheckRecord: r})
	}
	return m
}

// add makes a condition known.
func (m *Machine) add(c *condition) {
	c.Falls = slices.Clone(c.Falls)
	m.known[c.Check] = c
	m.order = append(m.order, c)
}

// Keep keeps these checks from now on, and forgets all others. A state belongs to its check, so
// it stays wherever the check moves in the file. It stays too where only numbers of the check
// changed (interval, timeout, fall, rise): else an apply that changes one would send
// connections to a backend that is known to be down.
func (m *Machine) Keep(now time.Duration, checks []Check) {
	before := m.known
	like := map[Check]*condition{}
	for _, c := range slices.Backward(m.order) {
		like[question(c.Check)] = c
	}
	m.known, m.order = make(map[Check]*condition, len(checks)), make([]*condition, 0, len(checks))
	for _, check := range checks {
		kept, found := before[check]
		if !found {
			kept = &condition{CheckRecord: CheckRecord{State: New, Since: now}}
			if old, found := like[question(check)]; found {
				kept.CheckRecord = old.CheckRecord
			}
			kept.Check = check
		}
		m.add(kept)
	}
}

// question returns a check without its numbers: what is asked of whom.
func question(c Check) Check {
	c.Interval, c.Timeout, c.Fall, c.Rise = 0, 0, 0, 0
	return c
}

// Take counts an answer. It returns the turn, if the backend goes down or comes up by it; that
// a new one is up is none, since it counted as up before. An answer to a check that is not
// kept is left out.
func (m *Machine) Take(now time.Duration, check Check, a Answer) (turn Turn, turned bool) {
	c, found := m.known[check]
	if !found {
		return Turn{}, false
	}
	c.Duration = a.Took
	switch a.Outcome {
	case Unable:
		c.Unable++
		return Turn{}, false
	case OK:
		c.OK++
	case Failed:
		c.Failed++
		c.Reason = clean(a.Reason)
	}
	if (a.Outcome == OK) == (c.State != Down) { // as it was; or the first answer is good
		if c.State == New {
			c.State, c.Since = Up, now
		}
		c.streak = 0
		return Turn{}, false
	}
	if c.streak++; c.streak == 1 {
		c.first = now
	}
	if c.streak < c.wanted(now) {
		return Turn{}, false
	}
	return c.turn(now), true
}

// turn makes a backend that was down up, and any other down.
func (c *condition) turn(now time.Duration) Turn {
	made := Turn{Check: c.Check, To: Up, Reason: c.Reason, Times: c.streak, Within: now - c.first, Lasted: now - c.Since}
	if c.State != Down {
		made.To = Down
		c.Falls = append(c.Falls[:0:0], c.recentFalls(now)...)
		c.Falls = append(c.Falls, now)
		c.Falls = c.Falls[max(0, len(c.Falls)-maxFalls):]
	}
	c.State, c.Since, c.streak = made.To, now, 0
	c.Changes++
	return made
}

// recentFalls returns the falls that are not forgotten yet.
func (c *condition) recentFalls(now time.Duration) []time.Duration {
	for i, at := range c.Falls {
		if now-at < fallMemory {
			return c.Falls[i:]
		}
	}
	return nil
}

// wanted returns how many answers in a row make the backend turn. Of a new one the first
// answer decides. One that fell more than once lately has to be good for longer each time, up
// to 16 times, or a backend that comes and goes would change the rules each time.
func (c *condition) wanted(now time.Duration) int {
	switch c.State {
	case Up:
		return c.Check.Fall
	case Down:
		return c.Check.Rise << min(max(len(c.recentFalls(now))-1, 0), maxFalls-1)
	default:
		return 1
	}
}

// Wait returns how long to wait from the end of a check to the next: the interval, by a random
// number from 0 to 1 up to a tenth shorter or longer. A backend that is up and failed is asked
// again sooner, so that a death is known soon. None is asked sooner on its way up.
func (m *Machine) Wait(check Check, random float64) time.Duration {
	if c, found := m.known[check]; found && c.State == Up && c.streak > 0 {
		return max(check.Interval/4, leastRecheck)
	}
	return time.Duration(float64(check.Interval) * (0.9 + 0.2*random))
}

// Up tells whether a check's backend may get connections as far as its state says. A new one
// may, and one that nobody asks.
func (m *Machine) Up(check Check) bool {
	c, found := m.known[check]
	return !found || c.State != Down
}

// Look notes what connection tracking has of a check's backend: connections that it has
// answered since the look before, and those that it has not.
func (m *Machine) Look(check Check, answered, unanswered int) {
	if c, found := m.known[check]; found {
		c.Answered, c.Unanswered = answered, unanswered
	}
}

// leastUnanswered is how many connections nobody answers before that means anything: some
// clients always give up.
const leastUnanswered = 10

// Unreachable tells whether a backend passes its check while no client's connection to it is
// answered: most often because its answers do not come back through this host.
func (c CheckRecord) Unreachable() bool {
	return c.State == Up && c.Answered == 0 && c.Unanswered >= leastUnanswered
}

// Of returns what is known of a check, if it is kept.
func (m *Machine) Of(check Check) (record CheckRecord, found bool) {
	c, found := m.known[check]
	if !found {
		return CheckRecord{}, false
	}
	return c.record(), true
}

// Records returns what is known of all checks, in the order of Keep.
func (m *Machine) Records() []CheckRecord {
	all := make([]CheckRecord, len(m.order))
	for i, c := range m.order {
		all[i] = c.record()
	}
	return all
}

// record returns a copy that later answers do not change.
func (c *condition) record() CheckRecord {
	r := c.CheckRecord
	r.Falls = slices.Clone(r.Falls)
	return r
}

// clean returns a reason as one short line: a server may have put anything into it.
func clean(reason string) string {
	reason = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, reason)
	return strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
}
