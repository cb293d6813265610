package forwarding

import (
	"errors"
	"fmt"
	"testing"

	"natspread/internal/rules"
)

// TestStories holds every way back to what was found. Each story runs for both families:
// what it says of redirects is of IPv4 only.
func TestStories(t *testing.T) {
	for _, c := range []struct{ name, story string }{
		{"all off", "apply; want all=1 redirects=0 default=1 eth0=1 eth1=1; opens eth0,eth1; apply; opens -; " +
			"stop; want all=0 redirects=1 default=0 eth0=0 eth1=0; forgotten; stop"},
		{"new interfaces forward", "default=1; apply; stop; want all=0 redirects=1 default=1 eth0=0"},
		{"redirects are refused", "redirects=0; apply; stop; want all=0 redirects=0; forgotten"},
		{"one forwards, one must not", "eth0=1 redirects=0; apply; want eth0=1 eth1=1; opensipv4 eth1; opensipv6 eth0,eth1; stop; want all=0 redirects=0 default=0 eth0=1 eth1=0"},
		{"on already", "all=1 eth1=0 default=0 redirects=1; apply; opens -; want all=1 redirects=1 default=0 eth0=1 eth1=0; " +
			"stop; want all=1 redirects=1 default=0 eth0=1 eth1=0; forgotten"},
		{"neither on nor off", "all=2; apply; want all=1 eth0=1; opens -; stop; want all=2 eth0=2 default=2 redirects=0"},

		{"one is switched off since", "eth1=1; apply; eth1=0; apply; opens -; want eth1=0; stop; want all=0 eth0=0 eth1=0"},
		{"one is off for a while", "apply; eth1=0; eth1=1; stop; want eth1=0"},
		{"the default is switched off since", "default=1; apply; default=0; add eth2; stop; want all=0 default=0 eth2=0"},
		{"redirects are accepted since", "redirects=0; apply; redirects=1; stop; want redirects=1"},
		{"a new interface", "apply; add eth2; want eth2=1; stop; want eth2=0"},
		{"a new interface, found on", "default=1; apply; add eth2; add eth3; eth3=0; stop; want all=0 default=1 eth0=0 eth2=1 eth3=0"},
		{"an interface goes", "eth0=1; apply; del eth1; stop; want all=0 default=0 eth0=1; forgotten"},
		{"an interface comes again", "eth1=1; apply; del eth1; add eth1; stop; want eth1=0"},
		{"an interface gets another name", "eth1=1; apply; rename eth1 lan0; stop; want eth0=0 lan0=1"},
		{"interfaces swap names", "eth1=1; apply; rename eth1 lan0; rename eth0 eth1; rename lan0 eth0; stop; want eth0=1 eth1=0"},
		{"a name with a dot", "add eth0.7; eth0.7=1; apply; stop; want eth0.7=1"},

		{"switched off by others", "eth0=1 default=1; apply; all=0; stop; want all=0 redirects=1 default=0 eth0=0; forgotten"},
		{"switched off by others, redirects were refused", "redirects=0; apply; all=0; want redirects=1; stop; want all=0 redirects=0"},
		{"what others switched off is switched on", "eth0=1 default=1 redirects=0; apply; all=0; add eth2; apply; want all=1 eth2=1; opens eth0,eth1,eth2; " +
			"stop; want all=0 redirects=0 default=0 eth0=0 eth1=0 eth2=0"},
		{"sysctl --system", "eth0=1 redirects=0; apply; all=0 eth0=1 redirects=0; apply; stop; want all=0 redirects=0 eth0=1 eth1=0"},
		{"on before, switched off by others", "all=1; apply; all=0; apply; want all=1; stop; want all=0 eth0=0 eth1=0"},
		{"on before, and others switched it off", "all=1 eth0=0; apply; all=0; stop; want all=0 eth0=0; forgotten"},
		{"switched on by others after a stop", "apply; stop; all=1; stop; want all=1 eth0=1"},

		{"a trial", "eth0=1 default=1 redirects=0; try; opensipv4 eth1; opensipv6 eth0,eth1; want all=1 eth1=1; add eth2; " +
			"revert; want all=0 redirects=0 default=1 eth0=1 eth1=0 eth2=1; forgotten; revert; want all=0 eth0=1 eth1=0"},
		{"a trial, and one is switched off", "eth1=1; try; eth1=0; revert; want all=0 eth0=0 eth1=0"},
		{"a trial that is switched off", "eth1=1 redirects=0; try; all=0; revert; want all=0 redirects=0 eth1=0; forgotten"},
		{"a trial that is stopped", "eth1=1; try; stop; want all=0 eth0=0 eth1=1"},
		{"a trial of what is on", "all=1 eth0=0; try; opens -; want eth0=0; eth0=1 eth1=0; revert; want all=1 eth0=1 eth1=0; forgotten"},
		{"a trial of what is off, by others", "all=1; try; all=0 redirects=1; revert; want all=0 redirects=1; forgotten"},
		{"a trial after an apply", "eth1=1; apply; eth0=0; try; opens -; eth0=1; revert; want all=1 eth0=1 eth1=1; stop; want all=0 eth0=0 eth1=1"},
		{"a trial after others switched off", "eth1=1 redirects=0; apply; all=0 eth0=1; try; want all=1; revert; want all=0 redirects=1 eth0=1 eth1=0; " +
			"stop; want all=0 redirects=0 eth0=0 eth1=0; forgotten"},
		{"a trial without the family", "eth0=1 redirects=0; apply; eth0=0; add eth2; try-without; want all=0 redirects=0 default=0 eth0=0 eth1=0 eth2=0; forgotten; " +
			"revert; want all=1 redirects=0 default=1 eth0=0 eth1=1 eth2=1; stop; want all=0 redirects=0 default=0 eth0=0 eth1=0 eth2=0; forgotten"},
		{"a trial without the family, and others", "eth0=1; apply; try-without; want eth0=1 eth1=0; eth1=1; add eth2; revert; want all=1 eth0=1 eth1=1 eth2=1; " +
			"stop; want all=0 eth0=1 eth1=0 eth2=0"},
		{"a trial without the family, and others switch on", "apply; try-without; all=1; revert; want all=1 eth0=1; stop; want all=0 eth0=0"},
		{"a trial without the family of what was on", "all=1 eth0=0; apply; try-without; want all=1 eth0=0; eth1=0; revert; want all=1 eth0=0 eth1=0; stop; want all=1 eth0=0 eth1=0"},
		{"a trial of nothing", "eth0=1; try-without; eth1=1 redirects=0; redirects=1; revert; want all=0 redirects=1 eth0=1 eth1=1; forgotten"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachWorld(t, func(t *testing.T, newWorld func(t *testing.T) *world) {
				newWorld(t).run(t, c.story)
			})
		})
	}
}

// lives are what a kill, or a fault, may come in the midst of: what was before it, and the
// step.
var lives = []struct{ name, before, step string }{
	{"the first apply", "", "apply"},
	{"an apply after others switched off", "apply; all=0", "apply"},
	{"an apply after others switched off all but one", "apply; all=0 eth0=1 redirects=0", "apply"},
	{"an apply of what was on", "all=1 eth1=0", "apply"},
	{"a stop", "apply", "stop"},
	{"a stop after others changed something", "apply; eth1=0; add eth2; add eth3; eth3=0; default=0", "stop"},
	{"a trial", "", "try"},
	{"a revert", "try; eth1=0; add eth2", "revert"},
	{"a trial without the family", "apply; eth1=0; add eth2", "try-without"},
	{"a revert to the family", "apply; eth1=0; add eth2; try-without", "revert"},
	{"a revert to what others switched off", "apply; all=0; try", "revert"},
}

// founds are hosts on which it may come.
var founds = []string{
	"all=0",
	"default=1 eth0=1 eth1=1 redirects=0",
	"eth0=1 redirects=0",
	"all=1 eth0=0",
}

// TestKill ends the process before each change of a file, and after the last: a stop then
// leaves what it leaves without a kill, at once, after an apply, or after the trial's
// revert. That revert leaves what it leaves without a kill, too.
func TestKill(t *testing.T) {
	eachLife(t, func(t *testing.T, newWorld func(t *testing.T) *world, step string) {
		want := map[string]string{}
		for _, after := range afterKill(step) {
			whole := newWorld(t)
			if step == "apply" || after != "stop" { // an apply takes what it finds for the will of others
				must(t, whole.step(t, []string{step}))
			}
			whole.run(t, after)
			want[after] = whole.shown(t)
		}
		for _, after := range afterKill(step) {
			for killed, at := true, 0; killed; at++ {
				w := newWorld(t)
				w.changes, w.fault = 0, func(n int) bool { return n > at }
				killed = errors.Is(w.step(t, []string{step}), errFault)
				w.fault = nil
				w.run(t, after)
				if got := w.shown(t); got != want[after] {
					t.Errorf("killed after %d changes, then %s:\nhave %s\nwant %s", at, after, got, want[after])
				}
				w.run(t, "stop; forgotten")
				if got := w.shown(t); got != want["stop"] {
					t.Errorf("killed after %d changes, then %s; stop:\nhave %s\nwant %s", at, after, got, want["stop"])
				}
			}
		}
	})
}

// TestKillIsForgotten has a trial after a revert that was killed, and ended by something
// else: it has a way back of its own.
func TestKillIsForgotten(t *testing.T) {
	for _, next := range []string{
		"apply; eth1=1; try; eth0=0; revert; want all=1 eth0=0 eth1=1",
		"try; eth0=0 eth1=0; revert; want eth0=0 eth1=0",
	} {
		for killed, at := true, 0; killed; at++ {
			w := newWorld(t, rules.IPv4, makeFake)
			w.run(t, "eth0=1; apply; eth1=0; try-without")
			w.changes, w.fault = 0, func(n int) bool { return n > at }
			killed = errors.Is(w.step(t, []string{"revert"}), errFault)
			w.fault = nil
			t.Run(fmt.Sprintf("%s, after %d changes", next, at), func(t *testing.T) {
				w.run(t, next+"; stop; want all=0 default=0; forgotten")
			})
		}
	}
}

// TestFault lets each change of a file fail. Where that is an error every switch is as it
// was, and so is what is kept.
func TestFault(t *testing.T) {
	eachLife(t, func(t *testing.T, newWorld func(t *testing.T) *world, step string) {
		if step == "revert" {
			return // it is repeated: TestKill
		}
		for failed, at := true, 1; failed; at++ {
			w := newWorld(t)
			before, kept := w.shown(t), w.kept(t)
			w.changes, w.fault = 0, func(n int) bool { return n == at }
			err := w.step(t, []string{step})
			failed = w.changes >= at
			w.fault = nil
			if err != nil && (w.shown(t) != before || w.kept(t) != kept) {
				t.Errorf("change %d failed (%v):\nhave %s %s\nwant %s %s", at, err, w.shown(t), w.kept(t), before, kept)
			}
		}
	})
}

// eachLife runs a test with every life on every host that it may come to. The kernel, which
// takes longer, has one of these hosts: where one interface forwards and redirects are
// refused.
func eachLife(t *testing.T, test func(t *testing.T, newWorld func(t *testing.T) *world, step string)) {
	t.Helper()
	eachWorld(t, func(t *testing.T, newWorld func(t *testing.T) *world) {
		hosts := founds
		if _, fakes := newWorld(t).kernel.(*fake); !fakes {
			hosts = founds[2:3]
		}
		for _, found := range hosts {
			for _, life := range lives {
				t.Run(life.name+"/"+found, func(t *testing.T) {
					test(t, func(t *testing.T) *world {
						w := newWorld(t)
						w.run(t, found)
						if life.before != "" {
							w.run(t, life.before)
						}
						return w
					}, life.step)
				})
			}
		}
	})
}

// afterKill returns what may come after a kill.
func afterKill(step string) []string {
	switch step {
	case "try", "try-without", "revert":
		return []string{"stop", "revert", "revert; revert"}
	}
	return []string{"stop", "stop; stop", "apply; stop"}
}
