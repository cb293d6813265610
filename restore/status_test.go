package restore_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/netnstest"
	"natspread/nat"
	"natspread/restore"
)

// apart is the part of a status that tells each kind of drift apart.
type apart struct {
	State                                   restore.State
	Boot                                    []string
	Rules, OtherVariant, Forwarding, Behind []restore.Line
}

// apartOf returns it.
func apartOf(t *testing.T, host restore.Host) apart {
	t.Helper()
	s, err := host.Status(t.Context())
	must(t, err)
	return apart{s.State, s.Boot, s.Rules, s.OtherVariant, s.Forwarding, s.Behind}
}

// TestStatusApart brings about each kind of drift by itself, and has apply mend it.
func TestStatusApart(t *testing.T) {
	if len(netnstest.Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	eachVariant(t, func(t *testing.T, variant restore.Variant) {
		host := newHost(t, variant)
		apply(t, host, article)
		line := func(family nat.Family, text string) []restore.Line {
			return []restore.Line{{Family: family, Text: text}}
		}
		for _, c := range []struct {
			drift func()
			want  apart
		}{
			{func() { iptables(t, variant, nat.IPv6, "-D OUTPUT 1") },
				apart{State: restore.Drift, Rules: line(nat.IPv6, "ipv6: the jump in OUTPUT is missing")}},
			{func() { iptables(t, variant.Other(), nat.IPv6, "-N NATSPREAD-old") },
				apart{State: restore.Drift, OtherVariant: line(nat.IPv6, fmt.Sprintf("ipv6: the %s variant holds rules of natspread's too: apply takes them out", variant.Other()))}},
			{func() { must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0\n"), 0)) },
				apart{State: restore.Drift, Forwarding: line(nat.IPv4, "ipv4: net.ipv4.ip_forward is not 1, so nothing is forwarded")}},
			{func() { iptables(t, variant, nat.IPv4, "-I OUTPUT -j RETURN") },
				apart{State: restore.InStep, Behind: line(nat.IPv4, "ipv4: the jump in OUTPUT is rule 2: what the rules before it take does not reach natspread's; apply puts it first")}},
		} {
			c.drift()
			if diff := cmp.Diff(c.want, apartOf(t, host)); diff != "" {
				t.Errorf("-want +have:\n%s", diff)
			}
			apply(t, host, article)
			if diff := cmp.Diff(apart{State: restore.InStep}, apartOf(t, host)); diff != "" {
				t.Errorf("apply mends it not: -want +have:\n%s", diff)
			}
		}
	})
}
