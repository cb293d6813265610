package report

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/doctor"
	"natspread/internal/rules"
	"natspread/internal/screen"
	"natspread/render"
	"natspread/restore/generation"
)

// plain is for a text without styles.
func plain() screen.Screen { return screen.Screen{} }

// styled is for one with them.
func styled() screen.Screen { return screen.Screen{Styled: true} }

// TestMetricsGolden holds the names, the labels and the help of all metrics: programs of
// others read them.
func TestMetricsGolden(t *testing.T) {
	if diff := cmp.Diff(readText(t, "../../testdata/monitoring/metrics.prom"), everyMetric().Metrics()); diff != "" {
		t.Errorf("-wanted +got:\n%s", diff)
	}
}

// parsed returns a config that must be good.
func parsed(t *testing.T, text string) config.Config {
	t.Helper()
	cfg, err := config.Parse("natspread.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// web is a config of one service.
const web = "[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [\"10.0.0.1:80\"]\n"

// TestNoNull holds what programs read to this: where nothing is, there is an empty list.
func TestNoNull(t *testing.T) {
	printed := Report{Status: applied()}.Printed(context.Background())
	added := Diff{Services: serviceChanges(config.Config{}, parsed(t, web), rules.Families())}
	for name, value := range map[string]any{
		"status": printed, "findings": FindingsOf(nil), "diff": Diff{}.Filled(), "added": added.Filled(),
		"removed": Diff{Services: serviceChanges(parsed(t, web), config.Config{}, rules.Families())}.Filled(),
	} {
		text, err := json.Marshal(value)
		if err != nil || strings.Contains(string(text), "null") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
	if live := printed.Services; live == nil || printed.Findings == nil || printed.Notes == nil {
		t.Errorf("%+v", printed)
	}
}

// TestWords writes severities and states as programs and as people read them, and nothing
// that a terminal would obey.
func TestWords(t *testing.T) {
	found := FindingsOf([]doctor.Finding{{Severity: doctor.AtBoot, What: "one\ntwo\x1b[2J", Fix: "a\tb"}, {Severity: doctor.Risk, What: "three"}})
	want := []Finding{{Severity: "at_boot", What: `one; two\x1b[2J`, Fix: `a\tb`}, {Severity: "risk", What: "three"}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("-wanted +got:\n%s", diff)
	}
	const text = "\x1b[1;31mat boot\x1b[0m: one; two\\x1b[2J\n  fix: a\\tb\n\x1b[1mrisk\x1b[0m: three\n"
	if diff := cmp.Diff(text, FindingsText(styled(), found)); diff != "" {
		t.Errorf("-wanted +got:\n%s", diff)
	}
	for state, want := range map[State]string{InSync: "in sync", Drift: "drift", Impaired: "impaired", NotLoaded: "not loaded"} {
		if state.Words() != want {
			t.Errorf("%s: %s", state, state.Words())
		}
	}
}

// TestStatusText shows the state, the findings with their fixes, and the notes.
func TestStatusText(t *testing.T) {
	status := Status{
		State: Impaired, Variant: rules.NFT, Generation: 3,
		Findings: []Finding{{Severity: "broken", What: "ipv4: net.ipv4.ip_forward is not 1", Fix: "natspread apply"}}, Notes: []string{"one\nnote"},
		Rules: "12ab",
	}
	const want = "\x1b[1;31mimpaired\x1b[0m: boot loads generation 3, by the nft variant of iptables\n" +
		"  \x1b[1;31mbroken\x1b[0m: ipv4: net.ipv4.ip_forward is not 1\n    fix: natspread apply\n  note: one; note\n"
	if diff := cmp.Diff(want+"  rules: sha256 12ab, out: none\n", status.Text(styled(), false)); diff != "" {
		t.Errorf("-wanted +got:\n%s", diff)
	}
	status.Out = []Out{{Service: "web", Backend: "10.0.0.1:80"}, {Service: "dns", Backend: "10.0.0.1:53"}}
	if diff := cmp.Diff(want+"  rules: sha256 12ab, out: 10.0.0.1:80 of web, 10.0.0.1:53 of dns\n", status.Text(styled(), false)); diff != "" {
		t.Errorf("-wanted +got:\n%s", diff)
	}
	none := Status{State: NotLoaded, Variant: rules.Legacy}
	if got := none.Text(plain(), false); got != "not loaded: boot loads nothing, by the legacy variant of iptables\n" {
		t.Error(got)
	}
}

// TestSummary sums up each kind of difference.
func TestSummary(t *testing.T) {
	changed := []ServiceChange{{Change: "added"}, {Change: "changed"}, {Change: "changed"}}
	broken := []Finding{{Severity: "broken"}}
	for name, c := range map[string]struct {
		diff Diff
		want []string
	}{
		"none":                {Diff{}, []string{"no difference"}},
		"words of the config": {Diff{outdated: "the words are others"}, []string{"no difference, but apply would make a new generation of it: the words are others"}},
		"one line":            {Diff{Differ: true, Added: 1}, []string{"apply would bring: no service changed; 1 line of rules added, 0 removed"}},
		"services":            {Diff{Differ: true, Added: 2, Removed: 1, Services: changed}, []string{"apply would bring: 1 service added, 2 changed; 2 lines of rules added, 1 removed"}},
		"removed":             {Diff{Differ: true, Removed: 3, Services: []ServiceChange{{Change: "removed"}}}, []string{"apply would bring: 1 service removed; 0 lines of rules added, 3 removed"}},
		"no rules":            {Diff{Differ: true, Services: changed[:1]}, []string{"apply would bring: 1 service added; 0 lines of rules added, 0 removed"}},
		"a finding":           {Diff{Differ: true, Findings: broken, outdated: "not shown"}, []string{"apply would bring no other rules; what is loaded has 1 finding"}},
		"findings and rules":  {Diff{Differ: true, Added: 1, Findings: broken}, []string{"apply would bring: no service changed; 1 line of rules added, 0 removed"}},
		"foreign":             {Diff{Differ: true, foreign: 2}, []string{"apply would bring: no service changed; 0 lines of rules added, 0 removed, and 2 lines of others"}},
		"only rules known":    {Diff{Differ: true, Added: 1, unnamed: errNoServices}, []string{"apply would bring: 1 line of rules added, 0 removed"}},
		"services not known":  {Diff{Differ: true, Added: 1, unnamed: errors.New("bad\nconfig")}, []string{"cannot name the services: bad; config", "apply would bring: 1 line of rules added, 0 removed"}},
	} {
		if diff := cmp.Diff(c.want, c.diff.Summary("apply would bring")); diff != "" {
			t.Errorf("%s: -wanted +got:\n%s", name, diff)
		}
	}
	foreign := Diff{}
	if foreign.RemoveForeign(0); foreign.Differ {
		t.Error("no line of others is a difference")
	}
	if foreign.RemoveForeign(1); !foreign.Differ {
		t.Error("a line of others is none")
	}
}

// TestDiffGenerations names what changes between two generations: services of the families
// that are asked for, and rules.
func TestDiffGenerations(t *testing.T) {
	of := func(number int, text string) generation.Generation {
		g := numbered(number)
		g.Tables, g.Config = render.New(parsed(t, text)), configfiles.Alone("natspread.toml", []byte(text))
		return g
	}
	both := web + "[[service]]\nname = \"six\"\nlisten = \"[2001:db8::10]:80\"\nbackends = [\"[fd00::1]:80\"]\n"
	one, two := of(1, web), of(2, both)
	for name, c := range map[string]struct {
		from, to generation.Generation
		families []rules.Family
		services int
		differ   bool
	}{
		"same":            {one, one, rules.Families(), 0, false},
		"both families":   {one, two, rules.Families(), 1, true},
		"the other way":   {two, one, rules.Families(), 1, true},
		"of that family":  {one, two, []rules.Family{rules.IPv6}, 1, true},
		"of the other":    {one, two, []rules.Family{rules.IPv4}, 0, false},
		"nothing, to one": {generation.None(), one, rules.Families(), 0, true}, // whose config nobody knows
	} {
		got := DiffGenerations(c.from, c.to, c.families)
		if len(got.Services) != c.services || got.Differ != c.differ || got.Differ != (got.Added+got.Removed > 0) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDiffSaved compares a file of iptables-save with a config, by rules.
func TestDiffSaved(t *testing.T) {
	tables := render.New(parsed(t, web))
	wanted := Wanted{Name: "natspread.toml", Tables: tables, Families: []rules.Family{rules.IPv4}}
	saved := string(tables.Of(rules.IPv4).Text())
	for name, c := range map[string]struct {
		text           string
		added, removed int
		bad            bool
	}{
		"same":           {text: saved},
		"rules of other": {text: strings.Replace(saved, "COMMIT", "-A INPUT -j ACCEPT\nCOMMIT", 1)},
		"a rule less":    {text: strings.Replace(saved, "-A PREROUTING -j NATSPREAD-PRE\n", "", 1), added: 1},
		"no table":       {text: "*raw\nCOMMIT\n", bad: true},
	} {
		got, err := DiffSaved("saved", []byte(c.text), wanted)
		if (err != nil) != c.bad || got.Added != c.added || got.Removed != c.removed || got.Differ != (c.added+c.removed > 0) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
