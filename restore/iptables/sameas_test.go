package iptables

import (
	"context"
	"errors"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// TestSaveAs judges by the bytes of iptables-save as the parsed table is judged, whatever others
// write: it is the same exactly where no transaction would be left to do.
func TestSaveAs(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		kernel := Kernel{Run: program.Exec(), Variant: variant}
		tables := hosttest.Tables(t, hosttest.Accepted(hosttest.Article))
		_, err := loadTables(t, kernel, tables)
		hosttest.Must(t, err)
		for _, c := range []struct {
			name     string
			do, undo []string // of nat, in the words of iptables
			same     bool
		}{
			{"as it was loaded", nil, nil, true},
			{"a foreign rule behind the jump", []string{"-A PREROUTING -p tcp -j RETURN"}, []string{"-D PREROUTING -p tcp -j RETURN"}, true},
			{"a foreign rule before the jump", []string{"-I PREROUTING -p tcp -j RETURN"}, []string{"-D PREROUTING -p tcp -j RETURN"}, false},
			{"a foreign chain, and a comment like a jump",
				[]string{"-N AAA", "-A AAA -m comment --comment -j -j RETURN", "-N NATSPREADER", "-A OUTPUT -j NATSPREADER"},
				[]string{"-D OUTPUT -j NATSPREADER", "-X NATSPREADER", "-F AAA", "-X AAA"}, true},
			{"a foreign chain that leads to one of natspread's",
				[]string{"-N ZZZ", "-A ZZZ -j NATSPREAD-web"}, []string{"-F ZZZ", "-X ZZZ"}, true},
			{"a foreign rule counted", []string{"-A OUTPUT -c 7 420 -j RETURN"}, []string{"-D OUTPUT -j RETURN"}, true},
			{"a jump doubled", []string{"-A PREROUTING -j NATSPREAD-PRE"}, nil, false},
			{"and put right", []string{"-D PREROUTING -j NATSPREAD-PRE"}, nil, true},
			{"a jump missing", []string{"-D OUTPUT -j NATSPREAD-OUT"}, []string{"-I OUTPUT -j NATSPREAD-OUT"}, false},
			{"another jump", []string{"-A OUTPUT -g NATSPREAD-web"}, []string{"-D OUTPUT -g NATSPREAD-web"}, false},
			{"a rule more", []string{"-A NATSPREAD-web -j RETURN"}, []string{"-D NATSPREAD-web -j RETURN"}, false},
			{"a chain more", []string{"-N NATSPREAD-more"}, []string{"-X NATSPREAD-more"}, false},
			{"a rule counted", []string{"-R NATSPREAD-web 1 -c 9 540 " + firstRule(t, tables)}, nil, true},
			{"rules in another order", []string{"-D NATSPREAD-web 1", "-A NATSPREAD-web " + firstRule(t, tables)}, nil, false},
		} {
			for _, line := range c.do {
				hosttest.IPTables(t, variant, rules.IPv4, line)
			}
			wantJudged(t, c.name, kernel, tables.Of(rules.IPv4), c.same)
			wantJudged(t, c.name, kernel, tables.Filter(rules.IPv4), true)
			for _, line := range c.undo {
				hosttest.IPTables(t, variant, rules.IPv4, line)
			}
		}
	})
}

// firstRule returns the first rule of the service's chain.
func firstRule(t *testing.T, tables rules.Tables) string {
	t.Helper()
	chain, found := tables.Of(rules.IPv4).Chain("NATSPREAD-web")
	if !found {
		t.Fatal("there is no such chain")
	}
	return string(chain.Rules[0].AppendText(nil))
}

// wantJudged asks that both ways to judge a live table agree.
func wantJudged(t *testing.T, name string, kernel Kernel, table rules.Table, want bool) {
	t.Helper()
	parsed, err := kernel.Save(t.Context(), table)
	hosttest.Must(t, err)
	state := stateOf(table, forwardPlace(parsed, table))
	saved, same, err := kernel.saveAs(t.Context(), table, state)
	hosttest.Must(t, err)
	if same != want || same != (transaction(stateOfSaved(parsed), state) == nil) {
		t.Errorf("%s: %s: the same: %v, parsed: %s", name, table.String(), same, transaction(stateOfSaved(parsed), state))
	}
	if !same {
		hosttest.WantSame(t, name, string(parsed.OwnText()), string(saved.OwnText()))
	}
	if ForeignRules(saved) != ForeignRules(parsed) {
		t.Errorf("%s: %d rules of others, parsed: %d", name, ForeignRules(saved), ForeignRules(parsed))
	}
}

// TestSaveAsShowsLess takes a table whose bytes are the same not for one that is the same as
// long as the kernel has a chain of natspread's which iptables-save does not show.
func TestSaveAsShowsLess(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.NFT {
			return // iptables-legacy-save fails where it gets no table
		}
		kernel := Kernel{Run: program.Exec(), Variant: variant}
		table := hosttest.Tables(t, hosttest.Article).Of(rules.IPv4)
		_, err := loadTables(t, kernel, hosttest.Tables(t, hosttest.Article))
		hosttest.Must(t, err)
		hosttest.IPTables(t, variant, rules.IPv4, "-N NATSPREAD-hidden")
		kernel.Run = func(ctx context.Context, stdin []byte, path string, args ...string) ([]byte, error) {
			out, err := program.Exec()(ctx, stdin, path, args...)
			return []byte(strings.ReplaceAll(string(out), ":NATSPREAD-hidden - [0:0]\n", "")), err
		}
		if _, same, err := kernel.saveAs(t.Context(), table, stateOf(table, 1)); !errors.Is(err, errShowsLess) {
			t.Errorf("the same: %v, %v", same, err)
		}
	})
}
