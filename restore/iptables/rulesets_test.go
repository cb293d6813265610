package iptables_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/iptables"
)

// TestRulesets reads what both variants hold, makes no table by it, and tells what it
// could not read beside what it could.
func TestRulesets(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		run := program.Exec()
		before, err := iptables.Rulesets(t.Context(), run)
		if err != nil || len(before) != 4 {
			t.Fatalf("%d rulesets, %v", len(before), err)
		}
		for _, r := range before {
			if len(r.Tables) != 0 {
				t.Errorf("%v %s: the tables %v", r.Family, r.Variant, r.Tables)
			}
		}
		wantNoTables(t)
		if native, err := iptables.NativeRules(t.Context(), run); err != nil || strings.Contains(string(native), "table") {
			t.Errorf("%s, %v", native, err)
		}

		netnstest.Self().Command(t, "", hosttest.Programs(variant, rules.IPv6).Iptables, "-w", "5", "-A", "FORWARD", "-j", "DROP")
		after, err := iptables.Rulesets(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range after {
			want := r.Family == rules.IPv6 && r.Variant == variant
			forward, _ := r.Chain("filter", rules.Forward)
			if slices.Contains(forward.Rules, rules.SavedRule{Text: "-j DROP"}) != want {
				t.Errorf("%v %s: %v", r.Family, r.Variant, r.Tables)
			}
		}

		run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.Contains(name, "ip6tables-nft") || strings.HasSuffix(name, "/nft") {
				return nil, errors.New("no rights")
			}
			return program.Exec()(ctx, stdin, name, args...)
		}
		some, err := iptables.Rulesets(t.Context(), run)
		if len(some) != 3 || err == nil || err.Error() != "cannot read the ipv6 rules of the nft variant: no rights" {
			t.Errorf("%d rulesets, %v", len(some), err)
		}
		if _, err := iptables.NativeRules(t.Context(), run); err == nil || err.Error() != "cannot read the rules of nftables: no rights" {
			t.Errorf("%v", err)
		}
	})
}
