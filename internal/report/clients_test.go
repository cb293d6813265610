package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// bySource is a config of a service whose clients keep their backends.
func bySource(t *testing.T, backends []string, lines ...string) config.Config {
	t.Helper()
	text := fmt.Sprintf("[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [%s]\n%s\n", strings.Join(backends, ", "), strings.Join(lines, "\n"))
	cfg, err := config.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// backendsUpTo are so many backends, of weight 1.
func backendsUpTo(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("\"10.0.0.%d:80\"", i+1))
	}
	return list
}

// TestClientsMoved says how many clients a change moves, and how many needlessly: none when a
// backend is drained, few when the file changes, nearly all when the slots are others.
func TestClientsMoved(t *testing.T) {
	t.Parallel()
	const source = `algorithm = "source"`
	ten := bySource(t, backendsUpTo(10), source)
	drained := slices.Clone(backendsUpTo(10))
	drained[3] = `{ address = "10.0.0.4:80", drain = true }`
	all := []string{`{ address = "10.0.0.1:80", drain = true }`}
	for name, test := range map[string]struct {
		after config.Config
		lines string // of the text, about clients
	}{
		"drained":           {bySource(t, drained, source), "    26 of 256 clients get another backend, none of them needlessly\n"},
		"one more":          {bySource(t, backendsUpTo(11), source), "    33 of 256 clients get another backend, 9 of them needlessly\n"},
		"another prefix":    {bySource(t, backendsUpTo(10), source, "source_prefix = 24"), "    about 231 of 256 clients get another backend, 231 of them needlessly\n"},
		"by flow":           {bySource(t, backendsUpTo(10), `algorithm = "flow"`), "    about 231 of 256 clients get another backend, 231 of them needlessly\n"},
		"the order":         {bySource(t, append(backendsUpTo(10)[1:], backendsUpTo(1)...), source), ""},
		"another source":    {bySource(t, backendsUpTo(10), source, `snat = "none"`), ""},
		"by chance":         {bySource(t, backendsUpTo(10)), ""},
		"nobody in service": {bySource(t, all, source), ""},
	} {
		changes := serviceChanges(ten, test.after, rules.Families())
		text := changesText(plain(), changes)
		if test.lines == "" && strings.Contains(text, "another backend") || !strings.Contains(text, test.lines) || len(changes) != 1 {
			t.Errorf("%s: no %q in\n%s", name, test.lines, text)
		}
	}
	printed, err := json.Marshal(serviceChanges(ten, bySource(t, drained, source), rules.Families())[0].Clients)
	if want := `{"moved":26,"needless":0,"of":256,"about":false}`; err != nil || string(printed) != want {
		t.Errorf("printed %s, %v", printed, err)
	}
}

// TestMoreSlotsMoveNearlyAll compares owners of other numbers of slots slot by slot.
func TestMoreSlotsMoveNearlyAll(t *testing.T) {
	t.Parallel()
	few, many := bySource(t, backendsUpTo(10), `algorithm = "source"`), bySource(t, backendsUpTo(10), `algorithm = "source"`, "slots = 1024")
	moved := clientsMoved(&few.Services[0], &many.Services[0])
	if moved.Of != 1024 || moved.About || moved.Moved < 850 || moved.Needless < moved.Moved-30 {
		t.Errorf("%v", moved)
	}
}

// TestRoughShares has a note where a share is off by more than a tenth of itself, with the
// number of slots that fixes it.
func TestRoughShares(t *testing.T) {
	t.Parallel()
	weights := func(heavy int) []string {
		return []string{`"10.0.0.1:80"`, fmt.Sprintf("{ address = \"10.0.0.2:80\", weight = %d }", heavy)}
	}
	for name, test := range map[string]struct {
		cfg  config.Config
		want string
	}{
		"1:99":    {bySource(t, weights(99), `algorithm = "source"`), "service web: backend 10.0.0.1:80 owns 3 of 256 slots, and is off its share by more than a tenth of it; fix: slots = 512, which moves nearly every client"},
		"no more": {bySource(t, weights(6000), `algorithm = "source"`, "slots = 4096"), "service web: backend 10.0.0.1:80 owns 1 of 4096 slots, and is off its share by more than a tenth of it"},
		"equal":   {bySource(t, backendsUpTo(10), `algorithm = "source"`), ""},
		"chance":  {bySource(t, weights(99)), ""},
	} {
		if got := strings.Join(RoughShares(test.cfg), "\n"); got != test.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	better := bySource(t, weights(99), `algorithm = "source"`, "slots = 512")
	if notes := RoughShares(better); len(notes) != 0 {
		t.Errorf("after the fix: %q", notes)
	}
}

// TestSlotsBesideShares shows the slots of each backend, and what the kernel counted at the
// end of all ways to it.
func TestSlotsBesideShares(t *testing.T) {
	t.Parallel()
	service := bySource(t, []string{`"10.0.0.1:80"`, `{ address = "10.0.0.2:80", weight = 2, drain = true }`, `"10.0.0.3:80"`}, `algorithm = "source"`, "slots = 1024", "source_prefix = 24").Services[0]
	saved, err := rules.ParseSaved(rules.NAT, []byte(`*nat
:PREROUTING ACCEPT [0:0]
:NATSPREAD-web - [0:0]
:NATSPREAD-webZ7p - [0:0]
[9:0] -A NATSPREAD-web -j HMARK --hmark-src-prefix 24 --hmark-rnd 0x6e617473 --hmark-mod 1024
[5:0] -A NATSPREAD-webZ7p -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
[5:0] -A NATSPREAD-webZ7p -p tcp -j DNAT --to-destination 10.0.0.3:80
COMMIT
`))
	if err != nil {
		t.Fatal(err)
	}
	described := describe(service, counted(saved)["web"], watched{})
	text := described.Text(plain())
	for _, want := range []string{
		"web  tcp 192.0.2.10:80  source of a /24 in 1024 slots, snat masquerade  5 connections\n",
		"  BACKEND      STATE    SLOTS  WEIGHT   WANTED  OBSERVED  TOTAL  LIVE\n",
		"  10.0.0.1:80  -          512       1  50.00 %    0.00 %      0     -\n",
		"  10.0.0.2:80  drained      0       2   0.00 %    0.00 %      0     -\n",
		"  10.0.0.3:80  -          512       1  50.00 %  100.00 %      5     -  ####################\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if described.Slots != 1024 || described.Backends[2].Slots != 512 || described.Connections != 5 {
		t.Errorf("%+v", described)
	}
}
