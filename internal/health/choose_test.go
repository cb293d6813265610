package health

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
)

// backendsOf returns a service of backends by letters: p a primary and b a backup in service;
// d a primary with drain, w one of weight 0, e a backup with drain.
func backendsOf(letters string, minUp int) config.Service {
	s := config.Service{Name: "web", MinUp: minUp, Check: config.Check{Type: config.CheckTCP}}
	for i, letter := range letters {
		b := config.Backend{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Port: 80, Weight: 1}
		b.Backup = letter == 'b' || letter == 'e'
		b.Drain = letter == 'd' || letter == 'e'
		if letter == 'w' {
			b.Weight = 0
		}
		s.Backends = append(s.Backends, b)
	}
	return s
}

// numbers returns the last digits of backends.
func numbers(backends []config.Backend) string {
	digits := ""
	for _, b := range backends {
		digits += fmt.Sprint(b.Addr.As4()[3])
	}
	return digits
}

// in tells whether a backend's last digit is listed.
func in(digits string) func(config.Backend) bool {
	return func(b config.Backend) bool { return strings.Contains(digits, numbers([]config.Backend{b})) }
}

// byHand names the backends with these last digits.
func byHand(s config.Service, digits string) []string {
	var names []string
	for _, b := range s.Backends {
		if in(digits)(b) {
			names = append(names, b.String())
		}
	}
	return names
}

// TestChoose has each row of the table of modes, with every kind of backend beside.
func TestChoose(t *testing.T) {
	for name, test := range map[string]struct {
		backends string
		minUp    int
		up       string // by the last digits
		byHand   string
		mode     Mode
		uses     string // what is rendered
		out      string
		joined   string
		ups      string
	}{
		"all up":                                 {"ppp", 1, "123", "", Normal, "123", "", "", "3 of 3"},
		"one down":                               {"ppp", 1, "13", "", Normal, "13", "2", "", "2 of 3"},
		"min_up is kept":                         {"pppb", 2, "134", "", Normal, "13", "2", "", "2 of 3"},
		"one is left":                            {"ppp", 1, "2", "", Normal, "2", "13", "", "1 of 3"},
		"drained ones stay out":                  {"ppdw", 1, "1234", "", Normal, "12", "", "", "2 of 2"},
		"a drained one that is down":             {"ppdw", 1, "12", "", Normal, "12", "", "", "2 of 2"},
		"a backup that is down":                  {"pb", 1, "1", "", Normal, "1", "", "", "1 of 1"},
		"backup":                                 {"pppb", 2, "14", "", Backup, "14", "23", "4", "1 of 3"},
		"backup, no primary up":                  {"ppbb", 1, "3", "", Backup, "3", "12", "3", "0 of 2"},
		"backup, two of them":                    {"ppbb", 1, "34", "", Backup, "34", "12", "34", "0 of 2"},
		"backup, fewer primaries than min_up":    {"ppb", 3, "123", "", Backup, "123", "", "3", "2 of 2"},
		"the same, the backup is down":           {"ppb", 3, "12", "", Normal, "12", "", "", "2 of 2"},
		"a drained backup does not join":         {"pe", 1, "2", "", FailOpen, "1", "", "", "0 of 1"},
		"fail-open, none up":                     {"ppp", 1, "", "", FailOpen, "123", "", "", "0 of 3"},
		"fail-open, below min_up":                {"ppp", 2, "1", "", FailOpen, "123", "", "", "1 of 3"},
		"fail-open, no backup up":                {"ppb", 2, "1", "", FailOpen, "12", "", "", "1 of 2"},
		"drained, one backup up":                 {"dwbb", 1, "124", "", Drained, "4", "3", "", "0 of 0"},
		"drained, no backup up":                  {"dbb", 1, "1", "", Drained, "23", "", "", "0 of 0"},
		"drained, no backup":                     {"dw", 1, "12", "", Drained, "", "", "", "0 of 0"},
		"only backups":                           {"bb", 1, "2", "", Drained, "2", "1", "", "0 of 0"},
		"by hand":                                {"ppp", 1, "123", "2", Normal, "13", "2", "", "2 of 2"},
		"by hand, and one down":                  {"ppp", 1, "12", "2", Normal, "1", "23", "", "1 of 2"},
		"by hand, and the others down":           {"ppp", 1, "2", "2", FailOpen, "13", "2", "", "0 of 2"},
		"by hand, below min_up":                  {"ppb", 2, "123", "2", Backup, "13", "2", "3", "1 of 1"},
		"by hand, a drained one":                 {"pd", 1, "12", "2", Normal, "1", "", "", "1 of 1"},
		"by hand, a backup that is not used":     {"pb", 1, "12", "2", Normal, "1", "2", "", "1 of 1"},
		"by hand, a backup that would join":      {"pbb", 1, "23", "2", Backup, "3", "12", "3", "0 of 1"},
		"by hand, all primaries":                 {"ppbb", 1, "1234", "12", Drained, "34", "12", "34", "0 of 0"},
		"by hand, all primaries, a backup down":  {"ppbb", 1, "124", "12", Drained, "4", "12", "4", "0 of 0"},
		"by hand, all primaries, no backup up":   {"pbb", 1, "", "1", Drained, "23", "1", "23", "0 of 0"},
		"by hand, all":                           {"ppb", 1, "123", "123", Drained, "", "123", "", "0 of 0"},
		"by hand, all primaries that there are":  {"pp", 1, "12", "12", Drained, "", "12", "", "0 of 0"},
		"by hand, one that is no backend of his": {"pp", 1, "12", "9", Normal, "12", "", "", "2 of 2"},
		"without checks, by hand":                {"ppp", 0, "123", "3", Normal, "12", "3", "", "2 of 2"},
	} {
		s := backendsOf(test.backends, test.minUp)
		c := Choose(s, in(test.up), byHand(s, test.byHand))
		if c.Mode != test.mode || numbers(c.Out) != test.out || numbers(c.Joined) != test.joined || fmt.Sprint(c.Up, " of ", c.Of) != test.ups {
			t.Errorf("%s: %s, out %q, joined %q, %d of %d up", name, c.Mode, numbers(c.Out), numbers(c.Joined), c.Up, c.Of)
		}
		if uses := numbers(c.Apply(s).Active()); uses != test.uses {
			t.Errorf("%s: uses %q, not %q", name, uses, test.uses)
		}
	}
}

// drawn is any service with any of its backends up, and any of them drained by hand.
type drawn struct {
	service config.Service
	up      string
	byHand  []string
}

// draw makes up a service.
func draw(t *rapid.T) drawn {
	letters := rapid.StringMatching(`[pppbbdwe]{1,9}`).Draw(t, "backends")
	s := backendsOf(letters, rapid.IntRange(0, 4).Draw(t, "min_up"))
	made := drawn{service: s, up: rapid.StringMatching(`[1-9]{0,9}`).Draw(t, "up")}
	if rapid.Bool().Draw(t, "by hand") {
		made.byHand = byHand(s, rapid.StringMatching(`[1-9]{0,3}`).Draw(t, "drained"))
	}
	return made
}

// used returns what the service is rendered with.
func (d drawn) used() (Choice, []config.Backend) {
	c := Choose(d.service, in(d.up), d.byHand)
	return c, c.Apply(d.service).Active()
}

// TestChooseAny holds what the choice promises of every service.
func TestChooseAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		before := slices.Clone(d.service.Backends)
		c, used := d.used()
		if again, _ := d.used(); fmt.Sprint(again) != fmt.Sprint(c) || !slices.Equal(before, d.service.Backends) {
			t.Fatal("the choice is no function of what it is given")
		}
		listed := d.service.Active()
		if len(used) == 0 && len(listed) > 0 && len(d.byHand) == 0 {
			t.Fatal("nobody is used")
		}
		for _, b := range d.service.Backends {
			uses := slices.ContainsFunc(used, func(u config.Backend) bool { return u.Addr == b.Addr })
			hand := slices.Contains(d.byHand, b.String())
			switch {
			case uses && (b.Drained() || hand):
				t.Fatalf("%s is drained, and used", b)
			case !b.Drained() && !hand && !b.Backup && in(d.up)(b) && !uses:
				t.Fatalf("%s is an up primary, and not used", b)
			case (c.Mode == Normal || c.Mode == Backup) && uses && !in(d.up)(b):
				t.Fatalf("%s: %s is down, and used", c.Mode, b)
			}
		}
		if c.Mode == FailOpen && len(d.byHand) == 0 && (c.Changes() || !slices.Equal(used, listed)) {
			t.Fatalf("fail-open is not the generation: %v", used)
		}
	})
}

// TestApplyTells tells who is drained by hand, and keeps open connections, from who is down, and
// who stays drained or out as before.
func TestApplyTells(t *testing.T) {
	s := backendsOf("pppd", 1)
	made := Choose(s, in("134"), byHand(s, "1")).Apply(s)
	for i, want := range []struct{ drain, out bool }{{true, false}, {false, true}, {false, false}, {true, false}} {
		if b := made.Backends[i]; b.Drain != want.drain || b.Out != want.out {
			t.Errorf("backend %d: drained %v, out %v", i+1, b.Drain, b.Out)
		}
	}
	if again := Choose(made, in("134"), nil).Apply(made); !slices.Equal(again.Backends, made.Backends) {
		t.Errorf("%+v became %+v", made.Backends, again.Backends)
	}
	s = backendsOf("pbb", 1)
	if made = Choose(s, in("2"), nil).Apply(s); !made.Backends[0].Out || !made.Backends[1].Joined || !made.Backends[2].Out {
		t.Errorf("with one of two backups: %+v", made.Backends)
	}
}

// TestNoteChoice makes the same service of a note as of the choice that the note says.
func TestNoteChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.service.Check = asked("10.0.0.1:80").Check
		m := NewMachine(nil)
		for _, b := range d.service.Backends {
			if check, _ := Of(d.service, b); !in(d.up)(b) {
				m.add(&condition{CheckRecord: CheckRecord{Check: check, State: Down}})
			}
		}
		var byHand []OutNote
		for _, name := range d.byHand {
			byHand = append(byHand, OutNote{Backend: name, Reason: ByHand})
		}
		choice, note := m.Choose(d.service, byHand)
		if made := note.Choice(d.service); made.Mode != choice.Mode || !reflect.DeepEqual(made.Apply(d.service), choice.Apply(d.service)) {
			t.Fatalf("%+v became %+v", choice, made)
		}
	})
}

// badness orders the modes.
func badness(m Mode) int { return slices.Index([]Mode{Normal, Backup, FailOpen}, m) }

// TestChooseMonotone has one more primary come up: the mode gets no worse, and no primary
// that is up and used is used no more.
func TestChooseMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		more := d
		more.up += fmt.Sprint(rapid.IntRange(1, len(d.service.Backends)).Draw(t, "one more"))
		if d.service.Backends[int(more.up[len(more.up)-1]-'1')].Backup {
			t.Skip("a backup")
		}
		was, usedBefore := d.used()
		is, usedAfter := more.used()
		if badness(is.Mode) > badness(was.Mode) || is.Up < was.Up {
			t.Fatalf("%s became %s", was.Mode, is.Mode)
		}
		for _, b := range usedBefore {
			if !b.Backup && in(d.up)(b) && !slices.Contains(usedAfter, b) {
				t.Fatalf("%s is used no more", b)
			}
		}
	})
}
