package iptables

import (
	"slices"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// TestCountedLine turns each line that iptables -v -S lists into that of iptables-save -c.
func TestCountedLine(t *testing.T) {
	for listed, want := range map[string]string{
		"-P PREROUTING ACCEPT -c 5 300":                                      ":PREROUTING ACCEPT [5:300]",
		"-N NATSPREAD-web":                                                   ":NATSPREAD-web - [0:0]",
		"-A PREROUTING -c 5 300 -j NATSPREAD-PRE":                            "[5:300] -A PREROUTING -j NATSPREAD-PRE",
		"-A NATSPREAD-web -p tcp -c 7 700 -j DNAT --to-destination 10.0.0.1": "[7:700] -A NATSPREAD-web -p tcp -j DNAT --to-destination 10.0.0.1",
		"-A OUTPUT -p tcp -c 1 60":                                           "[1:60] -A OUTPUT -p tcp",
		`-A OUTPUT -m comment --comment "a -c 1 2 b" -c 3 4 -j RETURN`:       `[3:4] -A OUTPUT -m comment --comment "a -c 1 2 b" -j RETURN`,
	} {
		if got := countedLine(listed + "\n"); got != want+"\n" {
			t.Errorf("%s\n%snot %s", listed, got, want)
		}
	}
}

// TestReadChains reads some chains of a table as a read of all of it does, with those of
// others, and tells when one is not there.
func TestReadChains(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		k := Kernel{Run: program.Exec(), Variant: variant}
		want := hosttest.Tables(t, hosttest.Article)
		_, err := loadTables(t, k, want)
		hosttest.Must(t, err)
		for _, f := range rules.Families() {
			hosttest.IPTables(t, variant, f, "-I PREROUTING 1 -m comment --comment before -j RETURN")
			all, err := k.Save(t.Context(), want.Of(f))
			hosttest.Must(t, err)
			name := want.Of(f).Chains[len(want.Of(f).Chains)-1].Name
			some, err := k.readChains(t.Context(), f, rules.NAT, []string{name})
			hosttest.Must(t, err)
			for _, chain := range some.Chains {
				whole, _ := all.Chain(chain.Name)
				if !slices.Equal(chain.Rules, whole.Rules) || chain.Policy != whole.Policy {
					t.Errorf("%v: %+v is %+v", f, chain, whole)
				}
			}
			if len(some.Chains) != 1+len(rules.NAT.BuiltIn()) {
				t.Errorf("%v: %d chains", f, len(some.Chains))
			}
			if some, err := k.readChains(t.Context(), f, rules.NAT, []string{name, "NATSPREAD-none"}); err == nil {
				t.Errorf("%v: %+v", f, some)
			}
		}
	})
}
