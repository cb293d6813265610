package iptables_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/rules"
	"natspread/restore/iptables"
)

// pickTable returns a table with a service of so many backends, by random.
func pickTable(backends int) rules.Table {
	chain := rules.Chain{Name: rules.ServiceChain("web")}
	for i := range backends {
		address := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		chain.Rules = append(chain.Rules, rules.Rule{Protocol: "tcp", Target: rules.Target{Kind: rules.DNAT, Address: address, Port: 80}})
	}
	table := rules.Table{Chains: []rules.Chain{chain, {Name: rules.ServiceOut}, {Name: rules.ServicePost}, {Name: rules.ServicePre}}}
	table.Sort()
	return table
}

// differences edits the lines of a table's text, as somebody might edit the kernel's,
// and returns how it differs then.
func differences(t *testing.T, table rules.Table, edit func(lines []string) []string) string {
	t.Helper()
	lines := edit(strings.Split(strings.TrimSuffix(string(table.Text()), "\n"), "\n"))
	saved, err := rules.ParseSaved(rules.NAT, []byte(strings.Join(lines, "\n")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(iptables.Differences(saved, table), iptables.JumpsNotFirst(saved, table)...), "\n")
}

// picks returns the place of the first rule of the service's chain.
func picks(lines []string) int {
	for i, line := range lines {
		if strings.HasPrefix(line, "-A NATSPREAD-web ") {
			return i
		}
	}
	return -1
}

// TestDifferences names each rule that is not as it should be, and no other one.
func TestDifferences(t *testing.T) {
	t.Parallel()
	rule := func(i int) string { return fmt.Sprintf("-p tcp -j DNAT --to-destination 10.0.0.%d:80", i) }
	for _, c := range []struct {
		name string
		edit func(lines []string, first int) []string
		want string
	}{
		{"nothing", func(l []string, _ int) []string { return l }, ""},
		{"the first rule is gone", func(l []string, i int) []string { return append(l[:i:i], l[i+1:]...) },
			"ipv4: chain NATSPREAD-web lacks rule 1: " + rule(0)},
		{"the last two are gone", func(l []string, i int) []string { return append(l[:i+1:i+1], l[i+3:]...) },
			"ipv4: chain NATSPREAD-web lacks rule 2: " + rule(1) + "\nipv4: chain NATSPREAD-web lacks rule 3: " + rule(2)},
		{"one stands twice", func(l []string, i int) []string { return append(l[:i+1:i+1], l[i:]...) },
			"ipv4: chain NATSPREAD-web has a rule doubled, as rule 2: " + rule(0)},
		{"one by another", func(l []string, i int) []string { l[i+1] = "-A NATSPREAD-web -j RETURN"; return l },
			"ipv4: chain NATSPREAD-web has rule 2 changed: it is -j RETURN, not " + rule(1)},
		{"another order", func(l []string, i int) []string { l[i], l[i+2] = l[i+2], l[i]; return l },
			"ipv4: chain NATSPREAD-web has its rules in another order"},
		{"one more, in front", func(l []string, i int) []string {
			return append(l[:i:i], append([]string{"-A NATSPREAD-web -j LOG"}, l[i:]...)...)
		},
			"ipv4: chain NATSPREAD-web has rule 1, which should not be there: -j LOG"},
		{"one in a chain that ought to be empty", func(l []string, i int) []string { l[i] = "-A NATSPREAD-PRE -j LOG"; return l },
			"ipv4: chain NATSPREAD-PRE has rule 1, which should not be there: -j LOG\nipv4: chain NATSPREAD-web lacks rule 1: " + rule(0)},
		{"none is left", func(l []string, i int) []string { return append(l[:i:i], l[i+3:]...) },
			"ipv4: chain NATSPREAD-web is empty: it should have 3 rules"},
		{"a jump behind another rule", func(l []string, i int) []string {
			return append(l[:i-3:i-3], append([]string{"-A PREROUTING -p udp -j ACCEPT"}, l[i-3:]...)...)
		}, "ipv4: the jump in PREROUTING is rule 2: a connection that a rule before it accepts or translates does not reach natspread"},
		{"a jump twice, around another rule", func(l []string, i int) []string {
			return append(l[:i-2:i-2], append([]string{"-A PREROUTING -p udp -j ACCEPT", l[i-3]}, l[i-2:]...)...)
		}, "ipv4: the jump in PREROUTING is doubled: rules 1 and 3"},
	} {
		got := differences(t, pickTable(3), func(lines []string) []string { return c.edit(lines, picks(lines)) })
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

// TestDifferencesOfMany says no more of a large chain than people read.
func TestDifferencesOfMany(t *testing.T) {
	t.Parallel()
	got := differences(t, pickTable(4000), func(lines []string) []string {
		first := picks(lines)
		return append(lines[:first:first], lines[first+3999:]...)
	})
	lines := strings.Split(got, "\n")
	if len(lines) != 9 || lines[8] != "ipv4: chain NATSPREAD-web differs in 3991 more rules" {
		t.Errorf("%d lines, the last: %s", len(lines), lines[len(lines)-1])
	}
}
