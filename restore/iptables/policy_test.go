package iptables_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// TestForwardPolicy reads it of a table that is not there, and is not made by the
// question, and of one that is.
func TestForwardPolicy(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		for _, f := range rules.Families() {
			want := func(policy string) {
				t.Helper()
				if got, err := host.ForwardPolicy(t.Context(), f); got != policy || err != nil {
					t.Errorf("%v: %s, %v; want %s", f, got, err, policy)
				}
			}
			want("ACCEPT")
			names := map[rules.Family]string{rules.IPv4: "/proc/net/ip_tables_names", rules.IPv6: "/proc/net/ip6_tables_names"}[f]
			if tables, err := os.ReadFile(names); variant == rules.Legacy && err == nil && slices.Contains(strings.Fields(string(tables)), "filter") {
				t.Errorf("%v: to ask made a table", f)
			}
			tool := netnstest.Programs(string(variant), family(f)).Iptables
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
