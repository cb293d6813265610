package health

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"natspread/internal/config"
)

// asked returns the check of a backend, with the defaults of a config.
func asked(target string) Check {
	return Check{Target: netip.MustParseAddrPort(target), Check: config.Check{
		Type: config.CheckTCP, Interval: 2 * time.Second, Timeout: time.Second, Fall: 3, Rise: 2,
	}}
}

// machine returns a machine that keeps checks from the time 0 on.
func machine(checks ...Check) *Machine {
	m := NewMachine(nil)
	m.Keep(0, checks)
	return m
}

// answers gives a machine an answer each second, from a time on: o for ok, f for failed, u for
// unable. It returns the states after each, by their first letters, and the turns.
func answers(m *Machine, c Check, from time.Duration, letters string) (states string, turns []Turn) {
	for i, letter := range letters {
		outcome := map[rune]Outcome{'o': OK, 'f': Failed, 'u': Unable}[letter]
		turn, turned := m.Take(from+time.Duration(i)*time.Second, c, Answer{outcome, "connection refused", time.Millisecond})
		if turned {
			turns = append(turns, turn)
		}
		known, _ := m.Of(c)
		states += string(known.State[0])
	}
	return states, turns
}

// TestStates has each field of the table of states, and each way between them.
func TestStates(t *testing.T) {
	c := asked("10.0.0.1:80")
	for name, test := range map[string]struct{ answers, states string }{
		"new, ok":                       {"o", "u"},
		"new, failed: the first counts": {"f", "d"},
		"new, unable":                   {"uu", "nn"},
		"new, unable, then failed":      {"uf", "nd"},
		"up, ok: the streak starts":     {"offofff", "uuuuuud"},
		"up, failed":                    {"offf", "uuud"},
		"up, unable: as it was":         {"offuuf", "uuuuud"},
		"down, ok":                      {"foo", "ddu"},
		"down, failed: streak starts":   {"fofoo", "ddddu"},
		"down, unable: as it was":       {"fouuo", "ddddu"},
	} {
		if states, _ := answers(machine(c), c, time.Second, test.answers); states != test.states {
			t.Errorf("%s: %s, not %s", name, states, test.states)
		}
	}
}

// TestTurn sees what a turn says for a line of the log, and that the first good answer of a
// new backend is none.
func TestTurn(t *testing.T) {
	c := asked("10.0.0.1:80")
	m := machine(c)
	_, turns := answers(m, c, 10*time.Second, "offfffoo")
	want := []Turn{
		{c, Down, "connection refused", 3, 2 * time.Second, 3 * time.Second},
		{c, Up, "connection refused", 2, time.Second, 4 * time.Second},
	}
	if !slices.Equal(turns, want) {
		t.Errorf("%+v", turns)
	}
	known, found := m.Of(c)
	if !found || known.OK != 3 || known.Failed != 5 || known.Unable != 0 || known.Changes != 2 || known.Duration != time.Millisecond || known.Since != 17*time.Second {
		t.Errorf("%+v", known)
	}
	if _, turned := m.Take(0, asked("10.0.0.2:80"), Answer{Outcome: Failed}); turned {
		t.Error("a check that is not kept turned")
	}
}

// TestDamping makes the rise longer with each fall of 10 minutes, up to 16 times.
func TestDamping(t *testing.T) {
	c := asked("10.0.0.1:80")
	m := machine(c)
	now := time.Second
	for i, rise := range []int{2, 4, 8, 16, 32, 32, 32} {
		_, turns := answers(m, c, now, "offf"+strings.Repeat("o", 40))
		if i == 0 {
			answers(m, c, now, "o")
		}
		now += 44 * time.Second
		if len(turns) != 2 || turns[1].Times != rise {
			t.Fatalf("fall %d: %+v, not a rise of %d", i+1, turns, rise)
		}
	}
	known, _ := m.Of(c)
	if len(known.Falls) != maxFalls {
		t.Errorf("it keeps %d falls", len(known.Falls))
	}
	if _, turns := answers(m, c, known.Falls[maxFalls-1]+fallMemory, "fffoo"); len(turns) != 2 {
		t.Errorf("falls of 10 minutes ago still count: %+v", turns)
	}
}

// TestDampingEnds has the falls pass while the backend is down: fewer answers are enough then.
func TestDampingEnds(t *testing.T) {
	c := asked("10.0.0.1:80")
	m := machine(c)
	if states, _ := answers(m, c, 0, "foofffooo"); states != "dduuudddd" {
		t.Fatal(states)
	}
	if _, turned := m.Take(fallMemory, c, Answer{Outcome: OK}); !turned {
		t.Error("the fourth good answer was not enough")
	}
	m = machine(c)
	answers(m, c, 0, "foofff")
	if states, _ := answers(m, c, 5*time.Second+fallMemory, "oo"); states != "du" {
		t.Errorf("after 10 minutes down: %s", states)
	}
}

// flap runs a backend that is up for 3 s and down for 3 s, for a minute, with a check that is
// over at once, and returns how often it turned. Without damping its falls are forgotten.
func flap(c Check, damped bool) int {
	m := machine(c)
	turns := 0
	for now := time.Duration(0); now < time.Minute; now += m.Wait(c, 0.5) {
		a := Answer{Outcome: OK}
		if now/(3*time.Second)%2 == 1 {
			a = Answer{Outcome: Failed, Reason: "connection refused"}
		}
		if _, turned := m.Take(now, c, a); turned {
			turns++
		}
		if !damped {
			m.known[c].Falls = nil
		}
	}
	return turns
}

// TestFlapping counts the turns, each of which is a load, of a backend that comes and goes.
func TestFlapping(t *testing.T) {
	for _, test := range []struct {
		interval        time.Duration
		fall, rise      int
		turns, undamped int
	}{
		{time.Second, 3, 2, 3, 19},
		{500 * time.Millisecond, 3, 2, 5, 19},
		{500 * time.Millisecond, 1, 1, 7, 19},
		{2 * time.Second, 3, 2, 1, 1}, // it is never good twice in a row
	} {
		c := asked("10.0.0.1:80")
		c.Interval, c.Fall, c.Rise = test.interval, test.fall, test.rise
		if turns, undamped := flap(c, true), flap(c, false); turns != test.turns || undamped != test.undamped {
			t.Errorf("%s, fall %d, rise %d: %d turns, not %d; without damping %d, not %d", c.Interval, c.Fall, c.Rise, turns, test.turns, undamped, test.undamped)
		}
	}
}

// TestWait has the time to the next check in each state.
func TestWait(t *testing.T) {
	for name, test := range map[string]struct {
		answers string
		random  float64
		wait    time.Duration
	}{
		"new":                  {"", 0.5, 2 * time.Second},
		"new, unable":          {"u", 0.5, 2 * time.Second},
		"up":                   {"o", 0.5, 2 * time.Second},
		"up, least":            {"o", 0, 1800 * time.Millisecond},
		"up, most":             {"o", 1, 2200 * time.Millisecond},
		"up, failed":           {"of", 0.9, 500 * time.Millisecond},
		"up, failed, unable":   {"ofu", 0.1, 500 * time.Millisecond},
		"up, failed, ok":       {"ofo", 0.5, 2 * time.Second},
		"down":                 {"f", 0.5, 2 * time.Second},
		"down, on its way up":  {"fo", 0.5, 2 * time.Second},
		"down, failed":         {"offff", 0.5, 2 * time.Second},
		"up again":             {"foo", 0.5, 2 * time.Second},
		"up again, and failed": {"foof", 0.5, 500 * time.Millisecond},
	} {
		c := asked("10.0.0.1:80")
		m := machine(c)
		answers(m, c, 0, test.answers)
		if wait := m.Wait(c, test.random); wait != test.wait {
			t.Errorf("%s: %s, not %s", name, wait, test.wait)
		}
	}
	fast := asked("10.0.0.1:80")
	fast.Interval = 500 * time.Millisecond
	m := machine(fast)
	answers(m, fast, 0, "of")
	if wait := m.Wait(fast, 0.5); wait != 250*time.Millisecond {
		t.Errorf("a quarter of 500 ms is %s", wait)
	}
}

// TestKeep has states stay with their checks, whatever the order, and in a machine that begins
// with the records of another one.
func TestKeep(t *testing.T) {
	one, two, three := asked("10.0.0.1:80"), asked("10.0.0.2:80"), asked("[2001:db8::3]:80")
	m := machine(one, two)
	answers(m, one, 0, "f")
	answers(m, two, 0, "offfoofff")
	m.Look(two, 7, 9)
	before := m.Records()
	m.Keep(time.Minute, []Check{three, two, one})
	if m.Up(one) || m.Up(two) || !m.Up(three) {
		t.Error("states did not stay with their checks")
	}
	after := m.Records()
	if want := []CheckRecord{{Check: three, State: New, Since: time.Minute}, before[1], before[0]}; fmt.Sprint(after) != fmt.Sprint(want) {
		t.Errorf("%v", after)
	}
	if after[1].Answered != 7 || after[1].Unanswered != 9 {
		t.Errorf("%+v", after[1])
	}
	next := NewMachine(after)
	next.Keep(time.Hour, []Check{one, two})
	if fmt.Sprint(next.Records()) != fmt.Sprint(before[:2]) {
		t.Errorf("%v", next.Records())
	}
	m.Keep(time.Hour, []Check{three})
	m.Keep(time.Hour, []Check{three, one})
	if !m.Up(one) {
		t.Error("a check that was forgotten is known")
	}
	if records := m.Records(); len(records) != 2 || records[1].State != New {
		t.Errorf("%v", records)
	}
}

// TestKeepNumbers changes when and how often is asked: what is known stays. Another question
// is another check.
func TestKeepNumbers(t *testing.T) {
	c := asked("10.0.0.1:80")
	numbers := c
	numbers.Interval, numbers.Timeout, numbers.Fall, numbers.Rise = time.Minute, 3*time.Second, 1, 7
	other := c
	other.Type, other.Path = config.CheckHTTP, "/"
	for name, test := range map[string]struct {
		check Check
		up    bool
	}{"numbers": {numbers, false}, "another question": {other, true}} {
		m := machine(c)
		answers(m, c, 0, "off")
		answers(m, c, 0, "f")
		m.Keep(time.Minute, []Check{test.check})
		if m.Up(test.check) != test.up {
			t.Errorf("%s: up is %v", name, !test.up)
		}
		if records := m.Records(); len(records) != 1 || records[0].Check != test.check {
			t.Errorf("%s: %v", name, records)
		}
	}
}

// TestUnreachable tells a backend that passes its check and that clients never hear.
func TestUnreachable(t *testing.T) {
	c := asked("10.0.0.1:80")
	for name, test := range map[string]struct {
		answers              string
		answered, unanswered int
		unreachable          bool
	}{
		"none of 40":             {"o", 0, 40, true},
		"none of 10":             {"o", 0, 10, true},
		"none of 9":              {"o", 0, 9, false},
		"one of 40":              {"o", 1, 39, false},
		"no connections":         {"o", 0, 0, false},
		"down, as its check has": {"f", 0, 40, false},
		"not checked yet":        {"u", 0, 40, false},
	} {
		m := machine(c)
		answers(m, c, 0, test.answers)
		m.Look(c, test.answered, test.unanswered)
		if known, _ := m.Of(c); known.Unreachable() != test.unreachable {
			t.Errorf("%s: %v", name, !test.unreachable)
		}
	}
}

// TestReason keeps what servers say short, and on one line.
func TestReason(t *testing.T) {
	c := asked("10.0.0.1:80")
	for said, want := range map[string]string{
		"connection refused":              "connection refused",
		"\x1b[2J\nroot":                   "?[2J?root",
		"\xff":                            "\ufffd",
		strings.Repeat("ä", maxReason):    strings.Repeat("ä", maxReason/2),
		"x" + strings.Repeat("ä", 200):    "x" + strings.Repeat("ä", maxReason/2-1),
		"certificate is valid for\u202ea": "certificate is valid for?a",
	} {
		m := machine(c)
		m.Take(0, c, Answer{Outcome: Failed, Reason: said})
		if known, _ := m.Of(c); known.Reason != want {
			t.Errorf("%q became %q", said, known.Reason)
		}
	}
}

// model is a machine of one check, as simple as can be: it looks at all answers so far.
type model struct {
	fall, rise int
	down, new  bool
	since      []Outcome // answers in this state, without those that were unable
	falls      []time.Duration
}

// take counts an answer.
func (m *model) take(now time.Duration, o Outcome) (turned bool) {
	if o == Unable {
		return false
	}
	m.since = append(m.since, o)
	against, wanted := Failed, m.fall
	if m.down {
		recent := 0
		for _, at := range m.falls {
			if now-at < 10*time.Minute {
				recent++
			}
		}
		against, wanted = OK, m.rise
		for i := 1; i < min(recent, 5); i++ {
			wanted *= 2
		}
	}
	if m.new {
		wanted, m.new = 1, false
	}
	streak := 0
	for i := len(m.since) - 1; i >= 0 && m.since[i] == against; i-- {
		streak++
	}
	if streak < wanted {
		return false
	}
	if m.down = !m.down; m.down {
		m.falls = append(m.falls, now)
	}
	m.since = nil
	return true
}

// TestModel compares the machine with the model in any run of answers.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := asked("10.0.0.1:80")
		c.Fall, c.Rise = rapid.IntRange(1, 4).Draw(t, "fall"), rapid.IntRange(1, 3).Draw(t, "rise")
		m, model := machine(c), model{fall: c.Fall, rise: c.Rise, new: true}
		now := time.Duration(0)
		for range rapid.IntRange(1, 300).Draw(t, "answers") {
			now += time.Duration(rapid.SampledFrom([]int{1, 1, 1, 30, 200}).Draw(t, "pause")) * time.Second
			o := rapid.SampledFrom([]Outcome{OK, OK, OK, Failed, Failed, Unable}).Draw(t, "outcome")
			was := m.Up(c)
			turn, turned := m.Take(now, c, Answer{Outcome: o})
			if wanted := model.take(now, o); turned != wanted || m.Up(c) == model.down {
				t.Fatalf("at %s: turned %v, not %v; up %v", now, turned, wanted, m.Up(c))
			}
			if turned != (was != m.Up(c)) || turned && (turn.To == Up) != m.Up(c) {
				t.Fatalf("at %s: %+v", now, turn)
			}
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 && (m.known[c].streak == 0) {
				m = NewMachine(m.Records())
				m.Keep(now, []Check{c})
			}
		}
	})
}
