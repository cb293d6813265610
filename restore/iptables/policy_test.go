package iptables_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/iptables"
)

// TestForwardPolicy reads it of a table that is not there, and is not made by the
// question, and of one that is.
func TestForwardPolicy(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
		for _, f := range rules.Families() {
			want := func(policy string) {
				t.Helper()
				if got, err := kernel.ForwardPolicy(t.Context(), f); got != policy || err != nil {
					t.Errorf("%v: %s, %v; want %s", f, got, err, policy)
				}
			}
			want("ACCEPT")
			names := map[rules.Family]string{rules.IPv4: "/proc/net/ip_tables_names", rules.IPv6: "/proc/net/ip6_tables_names"}[f]
			if tables, err := os.ReadFile(names); variant == rules.Legacy && err == nil && slices.Contains(strings.Fields(string(tables)), "filter") {
				t.Errorf("%v: to ask made a table", f)
			}
			tool := hosttest.Programs(variant, f).Iptables
			set := func(chain, policy string) { netnstest.Self().Command(t, "", tool, "-w", "5", "-P", chain, policy) }
			set("INPUT", "DROP")
			want("ACCEPT")
			for _, policy := range []string{"DROP", "ACCEPT"} {
				set("FORWARD", policy)
				want(policy)
			}
		}
	})
}
