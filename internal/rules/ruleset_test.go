package rules

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseRuleset reads all tables of a text that ParseSaved reads one of, and the same
// of that one.
func TestParseRuleset(t *testing.T) {
	read := ParseRuleset(IPv6, "legacy", []byte(busy))
	if read.Family != IPv6 || read.Variant != "legacy" {
		t.Errorf("of %v, %s", read.Family, read.Variant)
	}
	if names := slices.Sorted(maps.Keys(read.Tables)); !slices.Equal(names, []string{"filter", "nat", "raw"}) {
		t.Errorf("%v", names)
	}
	if diff := cmp.Diff(parseBusy(t).Chains, read.Tables["nat"]); diff != "" {
		t.Errorf("of one table -, of all +:\n%s", diff)
	}
	forward, found := read.Chain("filter", Forward)
	if diff := cmp.Diff(SavedChain{"FORWARD", "DROP", "[0:0]", []SavedRule{{Text: "-j ACCEPT"}}}, forward); diff != "" || !found {
		t.Errorf("want -, got +:\n%s", diff)
	}
	for _, missing := range [][2]string{{"filter", Input}, {"mangle", Forward}} {
		if chain, found := read.Chain(missing[0], missing[1]); found {
			t.Errorf("found %v", chain)
		}
	}
}

// TestParseRulesetIsLenient takes what ParseSaved refuses.
func TestParseRulesetIsLenient(t *testing.T) {
	drop := []SavedRule{{Text: "-j DROP"}}
	for name, c := range map[string]struct {
		text string
		want map[string][]SavedChain
	}{
		"nothing":               {"", map[string][]SavedChain{}},
		"no table":              {"-A FORWARD -j DROP\n:FORWARD DROP [0:0]\n", map[string][]SavedChain{}},
		"an empty table":        {"*broute\nCOMMIT\n", map[string][]SavedChain{"broute": nil}},
		"CRLF and spaces":       {"*raw\r\n:A - [0:0] \r\n  -A A -j DROP\r\nCOMMIT\r\n", map[string][]SavedChain{"raw": {{"A", "-", "[0:0]", drop}}}},
		"a chain not declared":  {"*security\n-A B -j DROP\n", map[string][]SavedChain{"security": {{Name: "B", Rules: drop}}}},
		"no policy":             {"*raw\n:A\n", map[string][]SavedChain{"raw": {{Name: "A"}}}},
		"no COMMIT":             {"*raw\n:A - [0:0]\n*nat\n:B - [0:0]\n", map[string][]SavedChain{"raw": {{Name: "A", Policy: "-", Counters: "[0:0]"}}, "nat": {{Name: "B", Policy: "-", Counters: "[0:0]"}}}},
		"a chain that is twice": {"*raw\n-A A -j ACCEPT\n:A - [0:0]\n-A A -j DROP\n", map[string][]SavedChain{"raw": {{"A", "-", "[0:0]", drop}}}},
		"a table that is twice": {"*raw\n-A A -j DROP\nCOMMIT\n*raw\n-A A -j DROP\nCOMMIT\n", map[string][]SavedChain{"raw": {{Name: "A", Rules: slices.Concat(drop, drop)}}}},
		"other lines":           {"*raw\nWarning: what is this\n-I A -j DROP\n[x:0] -A A\n# -A A\n-A A\n", map[string][]SavedChain{"raw": {{Name: "A", Rules: []SavedRule{{}}}}}},
	} {
		if diff := cmp.Diff(c.want, ParseRuleset(IPv4, "nft", []byte(c.text)).Tables); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", name, diff)
		}
	}
}

// TestWords splits as iptables-save quotes.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"-j ACCEPT":                           "-j|ACCEPT",
		`-m comment --comment "a b" -j A`:     `-m|comment|--comment|"a b"|-j|A`,
		`--comment "a \" b" -j`:               `--comment|"a \" b"|-j`,
		`--comment "never ends -j A`:          `--comment|"never ends -j A`,
		"-p tcp  -j A":                        "-p|tcp||-j|A",
		`-m string --string "\\" --algo bm`:   `-m|string|--string|"\\"|--algo|bm`,
		`-j LOG --log-prefix "x: " -m "-j"  `: `-j|LOG|--log-prefix|"x: "|-m|"-j"||`,
	} {
		var words []string
		for word := range (SavedRule{Text: text}).Words() {
			words = append(words, word)
		}
		if got := strings.Join(words, "|"); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}
