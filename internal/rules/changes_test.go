package rules_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/rules"
)

// chains draws chains of a few names and rules, in order.
func chains(t *rapid.T, label string) []rules.Chain {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(strings.Fields("a b c d e f")), 0, 6, rapid.ID[string]).Draw(t, label)
	slices.Sort(names)
	var drawn []rules.Chain
	for _, name := range names {
		chain := rules.Chain{Name: name}
		for _, target := range rapid.SliceOfN(rapid.SampledFrom(strings.Fields("a b")), 0, 2).Draw(t, name) {
			chain.Rules = append(chain.Rules, rules.Rule{Target: rules.Target{Kind: rules.Jump, Chain: target}})
		}
		drawn = append(drawn, chain)
	}
	return drawn
}

// TestChangesLeadThere makes any table from any other by what differs, which is nothing for
// the same one.
func TestChangesLeadThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := rules.Table{Chains: chains(t, "from")}, rules.Table{Chains: chains(t, "to")}
		changed, gone := from.Changes(to)
		if made := from.With(changed.Chains, gone); !slices.EqualFunc(made, to.Chains, rules.Chain.Equal) {
			t.Errorf("%v, without %v, with %v: %v", from.Chains, gone, changed.Chains, made)
		}
		if again, none := to.Changes(to); len(again.Chains)+len(none) > 0 {
			t.Errorf("of the same: %v, %v", again, none)
		}
	})
}
