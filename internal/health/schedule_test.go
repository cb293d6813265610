package health

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"natspread/internal/config"
)

// many returns checks of backends that differ.
func many(n int, interval time.Duration) []Check {
	all := make([]Check, n)
	for i := range all {
		all[i] = asked(fmt.Sprintf("10.%d.%d.%d:80", i>>16, i>>8&255, i&255))
		all[i].Interval = interval
	}
	return all
}

// always says that all backends are up.
func always(Check) bool { return true }

// begun is a check that started.
type begun struct {
	check Check
	at    time.Duration
}

// run is a schedule with a clock of its own, and checks that take a while each.
type run struct {
	Schedule
	now    time.Duration
	took   func(Check) time.Duration
	up     func(Check) bool
	wait   func(Check) time.Duration
	ends   map[Check]time.Duration // of those under way
	starts []begun
}

// newRun returns a schedule whose checks take a while, and come again after their interval.
func newRun(now, took time.Duration, checks []Check) *run {
	r := &run{now: now, up: always, ends: map[Check]time.Duration{}}
	r.took = func(Check) time.Duration { return took }
	random := rand.New(rand.NewPCG(1, 2))
	r.wait = func(c Check) time.Duration {
		return time.Duration(float64(c.Interval) * (0.9 + 0.2*random.Float64()))
	}
	r.Set(now, checks)
	return r
}

// until goes on until a time: each step is the next time at which anything happens.
func (r *run) until(end time.Duration) {
	for r.now < end {
		for c, at := range r.ends {
			if at <= r.now {
				delete(r.ends, c)
				r.Done(c, r.now+r.wait(c))
			}
		}
		start, again := r.Start(r.now, r.up)
		for _, c := range start {
			r.starts = append(r.starts, begun{c, r.now})
			r.ends[c] = r.now + r.took(c)
		}
		next := min(again, end)
		for _, at := range r.ends {
			next = min(next, at)
		}
		r.now = max(next, r.now+1)
	}
}

// between returns the starts from a time up to another.
func (r *run) between(from, to time.Duration) []begun {
	return slices.DeleteFunc(slices.Clone(r.starts), func(b begun) bool { return b.at < from || b.at >= to })
}

// TestSpread starts new checks evenly over their interval, the first at once.
func TestSpread(t *testing.T) {
	for _, n := range []int{1, 3, 30, 1000} {
		r := newRun(time.Hour, 0, many(n, 2*time.Second))
		r.until(time.Hour + 1700*time.Millisecond)
		if r.starts[0].at != time.Hour {
			t.Errorf("%d: the first one starts after %s", n, r.starts[0].at-time.Hour)
		}
		for i, b := range r.starts {
			if want := time.Hour + 2*time.Second*time.Duration(i)/time.Duration(n); b.at-want > time.Millisecond {
				t.Fatalf("%d: number %d starts after %s, not %s", n, i, b.at-time.Hour, want-time.Hour)
			}
		}
		if got := len(r.between(time.Hour, time.Hour+time.Second)); got > n/2+1 {
			t.Errorf("%d: %d start in the first second", n, got)
		}
	}
}

// TestSleep has the clock go on by an hour: no burst follows, and nothing counts as late.
func TestSleep(t *testing.T) {
	for _, interval := range []time.Duration{1200 * time.Millisecond, 2 * time.Second, 15 * time.Second} {
		const n = 1000
		r := newRun(0, time.Millisecond, many(n, interval))
		r.until(2 * interval)
		woke := r.now + time.Hour
		r.now = woke
		r.until(woke + 3*interval)
		most := int(n*time.Second/interval) + 1
		if got := len(r.between(woke, woke+time.Second)); got > most {
			t.Errorf("%s: %d start in the first second, not at most %d", interval, got, most)
		}
		seen := map[Check]bool{}
		for _, b := range r.between(woke, woke+interval+interval/8) {
			seen[b.check] = true
		}
		if len(seen) != n || r.Late != 0 {
			t.Errorf("%s: %d of %d start within an interval, %d late", interval, len(seen), n, r.Late)
		}
	}
}

// TestFewBehind has the loop stand still for less than an interval: what is due starts at
// once, as late.
func TestFewBehind(t *testing.T) {
	checks := many(10, 2*time.Second)
	var s Schedule
	s.Set(0, checks)
	start, again := s.Start(1900*time.Millisecond, always)
	if len(start) != 10 || again != 1900*time.Millisecond+idle || s.Late != 9 {
		t.Errorf("%d start, %d late, again at %s", len(start), s.Late, again)
	}
}

// rates looks at every second and every 20th of a second of a run.
func (r *run) rates() (second, part int) {
	count := func(long time.Duration) (most int) {
		first, sum := 0, 0
		for _, b := range r.starts {
			sum += b.check.Type.Cost()
			for r.starts[first].at <= b.at-long {
				sum -= r.starts[first].check.Type.Cost()
				first++
			}
			most = max(most, sum)
		}
		return most
	}
	return count(time.Second), count(time.Second / 20)
}

// TestRate never starts more than 2,000 checks in any second, and these evenly, whatever is
// due; and it starts as many as it may.
func TestRate(t *testing.T) {
	https := many(500, time.Second)
	for i := range https {
		https[i].Type = config.CheckHTTPS
	}
	for name, checks := range map[string][]Check{"tcp": many(3000, 500*time.Millisecond), "https": https} {
		r := newRun(0, 0, checks)
		r.until(5 * time.Second)
		second, part := r.rates()
		if second > maxStarts || part > partStarts || len(r.starts)*r.starts[0].check.Type.Cost() < 4*maxStarts {
			t.Errorf("%s: %d in a second, %d in a 20th, %d in all", name, second, part, len(r.starts))
		}
		if r.Late == 0 {
			t.Errorf("%s: none was late", name)
		}
	}
}

// TestRunning has never more than 2,048 checks under way.
func TestRunning(t *testing.T) {
	r := newRun(0, 10*time.Second, many(4000, 2*time.Second))
	most := 0
	for r.now < 30*time.Second {
		r.until(r.now + 50*time.Millisecond)
		most = max(most, r.running)
	}
	if most != maxRunning {
		t.Errorf("%d were under way", most)
	}
}

// TestUpFirst has 3,000 backends, half of them silent, and few places: those that are up are
// asked on time, the others when there is room, and none is left out.
func TestUpFirst(t *testing.T) {
	checks := many(4400, 2*time.Second)
	silent := map[Check]bool{}
	for _, c := range checks[:2200] {
		silent[c] = true
	}
	r := newRun(0, 0, checks)
	r.up = func(c Check) bool { return !silent[c] }
	r.took = func(c Check) time.Duration {
		if silent[c] {
			return 2 * time.Second
		}
		return time.Millisecond
	}
	r.until(20 * time.Second)
	count := map[Check]int{}
	for _, b := range r.between(10*time.Second, 20*time.Second) {
		count[b.check]++
	}
	for _, c := range checks {
		if least := map[bool]int{true: 1, false: 4}[silent[c]]; count[c] < least {
			t.Fatalf("silent %v: asked %d times in 10 s", silent[c], count[c])
		}
	}
	if second, _ := r.rates(); second > maxStarts {
		t.Errorf("%d in a second", second)
	}
}

// TestSet changes the checks: what stays keeps its time, what is gone starts no more, and one
// that goes and comes back while it is under way is not there twice.
func TestSet(t *testing.T) {
	checks := many(4, 2*time.Second)
	var s Schedule
	s.Set(0, checks)
	if start, again := s.Start(0, always); len(start) != 1 || start[0] != checks[0] || again != 500*time.Millisecond {
		t.Fatal(start, again)
	}
	s.Set(0, checks[2:])
	if start, again := s.Start(1100*time.Millisecond, always); len(start) != 1 || start[0] != checks[2] || again != 1500*time.Millisecond {
		t.Fatal(start, again)
	}
	s.Set(1200*time.Millisecond, checks) // the first is under way still, the second was dropped
	if start, _ := s.Start(1200*time.Millisecond, always); len(start) != 1 || start[0] != checks[1] {
		t.Fatal(start)
	}
	for _, c := range checks[:3] {
		s.Done(c, 3*time.Second)
		s.Done(c, 3*time.Second) // once is enough
	}
	if s.running != 0 {
		t.Errorf("%d under way", s.running)
	}
	start, _ := s.Start(3*time.Second, always)
	if len(start) != 4 {
		t.Errorf("%d start", len(start))
	}
	s.Set(3*time.Second, nil)
	for _, c := range start {
		s.Done(c, 4*time.Second)
	}
	if start, again := s.Start(time.Minute, always); len(start) != 0 || again != time.Minute+idle || len(s.items) != 0 || s.running != 0 {
		t.Errorf("%d start, %d left", len(start), len(s.items))
	}
}

// TestUpBeforeDown starts the check of a backend that is up before one that is down and was due earlier.
func TestUpBeforeDown(t *testing.T) {
	down, up := asked("10.0.0.1:80"), asked("10.0.0.2:80")
	var s Schedule
	s.Set(0, []Check{down, up})
	if start, _ := s.Start(down.Interval, func(c Check) bool { return c == up }); !slices.Equal(start, []Check{up, down}) {
		t.Errorf("%v", start)
	}
}
