package health

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"natspread/internal/config"
)

// checked returns a service with checks, of backends by letters as backendsOf has them.
func checked(name, letters string) config.Service {
	s := backendsOf(letters, 1)
	s.Name, s.Check = name, asked("10.0.0.1:80").Check
	return s
}

// TestChecks asks each backend once, whoever names the port, and drained ones too.
func TestChecks(t *testing.T) {
	web, same, other, quiet := checked("web", "pdwbe"), checked("same", "pp"), checked("other", "p"), checked("quiet", "p")
	same.Check.Port = 80
	for i := range same.Backends {
		same.Backends[i].Port = 0
	}
	other.Check.Type, other.Check.Port = config.CheckHTTPS, 443
	quiet.Check = config.Check{}
	cfg := config.Config{Services: []config.Service{web, same, other, quiet}}
	var targets []string
	for _, c := range Checks(cfg) {
		targets = append(targets, fmt.Sprint(c.Type, " ", c.Target))
	}
	want := []string{"tcp 10.0.0.1:80", "tcp 10.0.0.2:80", "tcp 10.0.0.3:80", "tcp 10.0.0.4:80", "tcp 10.0.0.5:80", "https 10.0.0.1:443"}
	if !slices.Equal(targets, want) {
		t.Errorf("%q", targets)
	}
	users := Users(cfg)
	for i, services := range [][]int{{0, 1}, {0, 1}, {0}, {0}, {0}, {2}} {
		if c := Checks(cfg)[i]; !slices.Equal(users[c], services) {
			t.Errorf("%s: services %v", c.Target, users[c])
		}
	}
}

// TestOverlay renders who is in service now: one down in two services, one without checks as
// it was, and one that is drained by hand.
func TestOverlay(t *testing.T) {
	quiet := checked("quiet", "pp")
	quiet.Check = config.Check{}
	cfg := config.Config{Services: []config.Service{checked("web", "ppb"), checked("open", "p"), quiet, checked("same", "pp")}}
	m := NewMachine(nil)
	m.Keep(0, Checks(cfg))
	one, _ := Of(cfg.Services[0], cfg.Services[0].Backends[0])
	if made, note := m.Overlay(cfg, Note{}); !note.None() || len(note.Services) != 0 || !made.Equivalent(cfg) {
		t.Errorf("all are up: %+v", note)
	}
	m.Take(5*time.Second, one, Answer{Outcome: Failed, Reason: "status 500"})
	made, note := m.Overlay(cfg, Note{Services: []ServiceNote{
		{Name: "quiet", Mode: Normal, Out: []OutNote{{"10.0.0.2:80", 3, ByHand}, {"10.0.0.7:80", 3, ByHand}}},
		{Name: "same", Mode: Normal, Out: []OutNote{{"10.0.0.2:80", 3, "connection refused"}}},
	}})
	down := []OutNote{{"10.0.0.1:80", 5 * time.Second, "status 500"}}
	want := Note{Services: []ServiceNote{
		{Name: "web", Mode: Normal, Out: down},
		{Name: "open", Mode: FailOpen},
		{Name: "quiet", Mode: Normal, Out: []OutNote{{"10.0.0.2:80", 3, ByHand}}},
		{Name: "same", Mode: Normal, Out: down},
	}}
	if !reflect.DeepEqual(note, want) || note.None() {
		t.Errorf("%+v", note)
	}
	for i, uses := range []string{"2", "1", "1", "2"} {
		if got := numbers(made.Services[i].Active()); got != uses {
			t.Errorf("%s uses %s", made.Services[i].Name, got)
		}
	}
	if said, found := note.Of("quiet"); !found || len(said.Drained()) != 1 {
		t.Errorf("%+v", said)
	}
	if _, found := note.Of("none"); found {
		t.Error("a service that is not there is named")
	}
	if !(Note{Services: []ServiceNote{{Name: "open", Mode: FailOpen}}}).None() {
		t.Error("fail-open needs an overlay")
	}
}

// TestSetDrained drains by hand and takes it back, also one that is down.
func TestSetDrained(t *testing.T) {
	const web = "web"
	const one, two = "10.0.0.1:80", "10.0.0.2:80"
	backend := func(name string) map[string][]string { return map[string][]string{web: {name}} }
	down := Note{Services: []ServiceNote{{Name: web, Mode: Normal, Out: []OutNote{{one, 3, "status 500"}}}}}
	for _, test := range []struct {
		name string
		got  Note
		want string
	}{
		{"a first one", Note{}.SetDrained(5, backend(one), true), "{[{web normal [{10.0.0.1:80 5ns drained}] []}]}"},
		{"twice", Note{}.SetDrained(5, backend(one), true).SetDrained(6, backend(one), true), "{[{web normal [{10.0.0.1:80 5ns drained}] []}]}"},
		{"and back", Note{}.SetDrained(5, backend(one), true).SetDrained(6, backend(one), false), "{[]}"},
		{"nothing to take back", Note{}.SetDrained(6, backend(one), false), "{[]}"},
		{"beside one that is down", down.SetDrained(5, backend(two), true), "{[{web normal [{10.0.0.1:80 3ns status 500} {10.0.0.2:80 5ns drained}] []}]}"},
		{"the one that is down", down.SetDrained(5, backend(one), true), "{[{web normal [{10.0.0.1:80 5ns drained}] []}]}"},
		{"both", down.SetDrained(5, map[string][]string{web: {two, one}, "dns": {one}}, true), "{[{web normal [{10.0.0.2:80 5ns drained} {10.0.0.1:80 5ns drained}] []} {dns normal [{10.0.0.1:80 5ns drained}] []}]}"},
		{"one that is down is not drained", down.SetDrained(5, backend(one), false), "{[{web normal [{10.0.0.1:80 3ns status 500}] []}]}"},
	} {
		if got := fmt.Sprint(test.got); got != test.want {
			t.Errorf("%s: %s", test.name, got)
		}
		if fmt.Sprint(down) != "{[{web normal [{10.0.0.1:80 3ns status 500}] []}]}" {
			t.Errorf("%s changes the note that it was given", test.name)
		}
	}
}

// here is the namespace of records in tests.
const here = "tmpfs 4711"

// drawRecord makes up a record that a watcher might write.
func drawRecord(t *rapid.T) Record {
	beat := rapid.Int64Range(0, math.MaxInt64).Draw(t, "beat")
	when := rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.Int64Range(0, beat).Draw(t, "when")) })
	r := Record{Namespace: here, Beat: time.Duration(beat), Generation: rapid.IntRange(0, 9).Draw(t, "generation"), Late: rapid.Uint64().Draw(t, "late"), LoadsOK: 3, LoadsFailed: 4, LoadDuration: 5}
	for i := range rapid.IntRange(0, 4).Draw(t, "checks") {
		c := asked(fmt.Sprintf("10.0.0.%d:80", i+1))
		if rapid.Bool().Draw(t, "IPv6") {
			c.Target, c.Source = netip.MustParseAddrPort(fmt.Sprintf("[2001:db8::%d]:80", i)), netip.IPv6Loopback()
		}
		c.Type = rapid.SampledFrom([]config.CheckType{config.CheckTCP, config.CheckUDP, config.CheckHTTP}).Draw(t, "type")
		c.Send, c.Path = rapid.String().Draw(t, "send"), rapid.String().Draw(t, "path")
		falls := rapid.SliceOfN(when, 0, maxFalls).Draw(t, "falls")
		slices.Sort(falls)
		if len(falls) == 0 {
			falls = nil
		}
		r.Checks = append(r.Checks, CheckRecord{
			Check: c, State: rapid.SampledFrom([]State{New, Up, Down}).Draw(t, "state"), Since: when.Draw(t, "since"),
			Reason: clean(rapid.String().Draw(t, "reason")), Falls: falls,
			OK: rapid.Uint64().Draw(t, "ok"), Unable: 2, Changes: 9, Duration: 7, Unanswered: rapid.IntRange(0, 99).Draw(t, "unanswered"), Answered: 1,
		})
	}
	return r
}

// TestRecord reads back what was written.
func TestRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeRecord(data, here, r.Beat)
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%v\n%+v\n%+v", err, back, r)
		}
		for _, other := range []string{"", "tmpfs 4712", here + " "} {
			if _, err := DecodeRecord(data, other, r.Beat); err == nil {
				t.Fatalf("a record of another namespace was read as of %q", other)
			}
		}
	})
}

// encoded returns a value as JSON, with one thing replaced by another.
func encoded(t *testing.T, value any, old, new string) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil || !strings.Contains(string(data), old) {
		t.Fatalf("%v: no %s in %s", err, old, data)
	}
	return []byte(strings.Replace(string(data), old, new, 1))
}

// TestRecordRefused forges records.
func TestRecordRefused(t *testing.T) {
	r := Record{Namespace: here, Generation: 3, Beat: 100, Checks: []CheckRecord{
		{Check: asked("10.0.0.1:80"), State: Down, Since: 50, Reason: "status 500", Falls: []time.Duration{40, 50}},
		{Check: asked("10.0.0.2:80"), State: Up},
	}}
	if _, err := DecodeRecord(encoded(t, r, `"beat"`, `"beat"`), here, 100); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new string }{
		{`{"namespace"`, `{"more":1,"namespace"`},
		{`{"namespace"`, `[{"namespace"`},
		{`"late":0}`, `"late":0}{}`},
		{`"late":0}`, `"late":0`},
		{`tmpfs`, `other`},
		{`"generation":3`, `"generation":-3`},
		{`"beat":100`, `"beat":49`},
		{`"beat":100`, `"beat":"100"`},
		{`"beat":100`, `"beat":101`},
		{`"down"`, `"dead"`},
		{`"Target":"10.0.0.1:80"`, `"Target":""`},
		{`"Target":"10.0.0.1:80"`, `"Target":"10.0.0.1:0"`},
		{`"Target":"10.0.0.1:80"`, `"Target":"www.example.net:80"`},
		{`"Target":"10.0.0.1:80"`, `"Target":"10.0.0.2:80"`},
		{`"Type":"tcp"`, `"Type":""`},
		{`"Fall":3`, `"Fall":0`},
		{`"Interval":2000000000`, `"Interval":0`},
		{`"Timeout":1000000000`, `"Timeout":0`},
		{`"Port":0`, `"Port":80`},
		{`"Rise":2`, `"Rise":0`},
		{`"since":50`, `"since":-1`},
		{`status 500`, `status\n500`},
		{`[40,50]`, `[50,40]`},
		{`[40,50]`, `[40,150]`},
		{`[40,50]`, `[1,2,3,4,5,6]`},
		{`"falls":[40,50]`, `"falls":[40,50],"unanswered":-1`},
	} {
		if _, err := DecodeRecord(encoded(t, r, test.old, test.new), here, 100); err == nil {
			t.Errorf("with %s it was read", test.new)
		}
	}
	if _, err := DecodeRecord(make([]byte, maxRecord+1), here, 100); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("too large: %v", err)
	}
}

// TestNote reads back what was written, and refuses what was forged.
func TestNote(t *testing.T) {
	n := Note{Services: []ServiceNote{
		{Name: "web", Mode: Backup, Out: []OutNote{{"10.0.0.1:80", 7, "status 500"}, {"10.0.0.2", 8, ByHand}, {"[fd00::3]:9000-9010", 9, ByHand}}, Joined: []string{"[2001:db8::1]:80"}},
		{Name: "dns", Mode: FailOpen},
	}}
	for _, n := range []Note{n, {}} {
		data, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := DecodeNote(data); err != nil || !reflect.DeepEqual(back, n) {
			t.Errorf("%v: %+v", err, back)
		}
	}
	for _, test := range []struct{ old, new string }{
		{`{"services"`, `{"more":1,"services"`},
		{`"backup"`, `"spare"`},
		{`"fail_open"`, `"normal"`},
		{`"web"`, `""`},
		{`"web"`, `"dns"`},
		{`10.0.0.1:80`, `10.0.0.1:080`},
		{`10.0.0.1:80`, `10.0.0.1:0`},
		{`10.0.0.1:80`, `www.example.net:80`},
		{`9000-9010`, `9010-9000`},
		{`10.0.0.1:80`, `10.0.0.2`},
		{`[2001:db8::1]:80`, `10.0.0.2`},
		{`[2001:db8::1]:80`, `fe80::1%eth0`},
		{`"since":7`, `"since":-7`},
		{`status 500`, `status\u0007`},
	} {
		if _, err := DecodeNote(encoded(t, n, test.old, test.new)); err == nil {
			t.Errorf("with %s it was read", test.new)
		}
	}
}

// TestStanding loads a config with what is down already out, also where the config changed
// how often it asks; not by a record that is old, or of a time to come.
func TestStanding(t *testing.T) {
	cfg := config.Config{Services: []config.Service{checked("web", "pp"), checked("new", "p")}}
	one, _ := Of(cfg.Services[0], cfg.Services[0].Backends[0])
	down := CheckRecord{Check: one, State: Down, Since: time.Minute, Reason: "status 500"}
	r := Record{Beat: time.Hour, Checks: []CheckRecord{down}}
	cfg.Services[0].Check.Interval = 5 * time.Second
	made, note, found := r.Standing(time.Hour+time.Minute, cfg, Note{})
	want := "{[{web normal [{10.0.0.1:80 1m0s status 500}] []} {new fail_open [] []}]}"
	if !found || fmt.Sprint(note) != want || numbers(made.Services[0].Active()) != "2" {
		t.Errorf("%v, %v", found, note)
	}
	for name, now := range map[string]time.Duration{"old": time.Hour + time.Minute + 1, "of a time to come": time.Hour - 1} {
		if _, note, found := r.Standing(now, cfg, Note{}); found {
			t.Errorf("%s: %v", name, note)
		}
	}
	r.Checks[0].State = Up
	if _, note, found := r.Standing(time.Hour, cfg, Note{}); found {
		t.Errorf("nobody is down: %v", note)
	}
	cfg.Services[0].Check.Interval = one.Interval
	for _, since := range []time.Duration{time.Second, 2 * time.Minute} {
		loaded := Note{Services: []ServiceNote{{Name: "web", Mode: Normal, Out: []OutNote{{"10.0.0.1:80", since, "status 503"}}}}}
		if _, note, found := r.Standing(time.Hour, cfg, loaded); found != (since > down.Since) {
			t.Errorf("up since %v, out since %v: %v", down.Since, since, note)
		}
	}
}
