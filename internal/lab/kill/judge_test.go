package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/configfiles"
	"natspread/internal/rules"
	"natspread/internal/test/killtest"
	"natspread/restore/generation"
)

// TestJudgeKernel lets pass what is old or new, table by table, and nothing else.
func TestJudgeKernel(t *testing.T) {
	old := kernel{tables: [rules.TableCount]string{"a", "b", "c", "d", "e", "f"}, forwarding: "00"}
	new := kernel{tables: [rules.TableCount]string{"A", "B", "C", "D", "E", "F"}, forwarding: "11"}
	p := point{clean: &clean{old: old, new: new}}
	for _, c := range []struct {
		tables     string
		forwarding string
		want       string // in the error
	}{
		{"abcdef", "00", ""}, {"ABCDEF", "11", ""}, {"ABCDEF", "10", ""}, {"aBcDef", "00", ""}, {"abcdEf", "00", ""},
		{"abc-ef", "00", "the table ipv6 filter is neither"},
		{"abcde-", "00", "the table ipv6 mangle is neither"},
		{"abcDef", "10", "its rules are not loaded in whole"},
		{"ABCDEf", "10", "its rules are not loaded in whole"},
		{"ABCDEF", "12", "forwarding is 12"},
	} {
		now := kernel{forwarding: c.forwarding}
		for i := range now.tables {
			now.tables[i] = c.tables[i : i+1]
		}
		err := p.judgeKernel(now)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %s: %v, want %q", c.tables, c.forwarding, err, c.want)
		}
	}
}

// TestJudgeConfig lets pass files of which each is old or new, and nothing else.
func TestJudgeConfig(t *testing.T) {
	p := point{clean: &clean{oldConfig: [2]string{"a", "b"}, newConfig: [2]string{"A", "B"}, mode: "0640"}}
	for _, c := range []struct {
		texts [2]string
		mode  string
		good  bool
	}{
		{[2]string{"a", "b"}, "0640", true}, {[2]string{"A", "B"}, "0640", true}, {[2]string{"A", "b"}, "0640", true},
		{[2]string{"", "b"}, "0640", false}, {[2]string{"a", "A"}, "0640", false}, {[2]string{"a", "b"}, "0600", false},
	} {
		if err := p.judgeConfig(c.texts, c.mode); (err == nil) != c.good {
			t.Errorf("%q, %s: %v", c.texts, c.mode, err)
		}
	}
}

// TestJudgeGeneration lets pass the old one and the new one, whole.
func TestJudgeGeneration(t *testing.T) {
	numbered := func(number int, config string) generation.Generation {
		return generation.Generation{Manifest: generation.Manifest{Number: number}, Config: configfiles.Alone("natspread.toml", []byte(config))}
	}
	p := point{clean: &clean{oldGen: numbered(1, "old"), newGen: numbered(2, "new")}}
	for _, g := range []generation.Generation{p.clean.oldGen, p.clean.newGen} {
		if err := p.judgeGeneration(g); err != nil {
			t.Error(err)
		}
	}
	for _, g := range []generation.Generation{generation.None(), numbered(1, "new"), numbered(3, "new")} {
		if err := p.judgeGeneration(g); err == nil {
			t.Errorf("generation %d of %q is let pass", g.Number, g.Config)
		}
	}
}

// TestPoints kills natspread at each call, and who makes it where that is another.
func TestPoints(t *testing.T) {
	p := point{story: stories()[0], variant: rules.NFT, clean: &clean{calls: []killtest.Call{{Name: "fsync", Own: true}, {Name: "sendmsg"}}}}
	var names []string
	for _, one := range p.each() {
		names = append(names, one.String())
	}
	if want := []string{"first-apply/nft/1/program", "first-apply/nft/2/program", "first-apply/nft/2/caller"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// TestDraw draws by the seed.
func TestDraw(t *testing.T) {
	p, other := point{at: killtest.Point{Nth: 1}}, point{at: killtest.Point{Nth: 2}}
	one, same, two := &game{options: options{seed: 1}}, &game{options: options{seed: 1}}, &game{options: options{seed: 2}}
	if one.draw(p) != same.draw(p) || one.draw(p) == one.draw(other) || one.draw(p) == two.draw(p) {
		t.Error("it does not depend on the seed and the point alone")
	}
}

// TestTableOf takes one table out of what iptables-save printed.
func TestTableOf(t *testing.T) {
	nat, filter := rules.NoTables().All()[rules.IPv4], rules.NoTables().Filter(rules.IPv4)
	const saved = "# by iptables-save\n*filter\n:INPUT ACCEPT [1:2]\nCOMMIT\n*nat\n:OUTPUT ACCEPT [3:4]\nCOMMIT\n"
	for _, c := range []struct {
		saved string
		table rules.Table
		want  string
	}{
		{saved, filter, "*filter\n:INPUT ACCEPT [1:2]\n"},
		{saved, nat, "*nat\n:OUTPUT ACCEPT [3:4]\n"},
		{"", filter, "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"},
		{"", rules.NoTables().Mangle(rules.IPv4), "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"},
		{"", nat, "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"},
	} {
		if got := tableOf(c.saved, c.table); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestSwept finds what has a temporary name, wherever it is.
func TestSwept(t *testing.T) {
	for name, want := range map[string]string{"etc/natspread.toml": "", "etc/.natspread.toml123456789012345678": "left behind: ", "run/.overlay-1/note": "left behind: "} {
		h := host{dir: t.TempDir()}
		place := h.at(name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(place), 0o755), os.WriteFile(place, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if err := h.swept(); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
