package trace

import (
	"math/big"
	"testing"

	"natspread/internal/rules"
)

// TestWalkRefuses holds Walk to an end on tables that the kernel would refuse.
func TestWalkRefuses(t *testing.T) {
	jump := func(chain string) []rules.Rule {
		return []rules.Rule{{Target: rules.Target{Kind: rules.Jump, Chain: chain}}}
	}
	for name, chains := range map[string][]rules.Chain{
		"a jump to nowhere":         {{Name: rules.ServicePre, Rules: jump("NATSPREAD-web")}},
		"no chain for the jump":     {{Name: "NATSPREAD-web"}},
		"a chain that is a circle":  {{Name: rules.ServicePre, Rules: jump(rules.ServicePre)}},
		"a circle over two chains":  {{Name: rules.ServicePre, Rules: jump("NATSPREAD-a")}, {Name: "NATSPREAD-a", Rules: jump(rules.ServicePre)}},
		"a circle behind a picking": {{Name: rules.ServicePre, Rules: append([]rules.Rule{{Statistic: rules.Statistic{Every: 2}}}, jump(rules.ServicePre)...)}},
	} {
		t.Run(name, func(t *testing.T) {
			if path, err := Trace(rules.Table{Chains: chains}, rules.Prerouting, rules.Packet{}); err == nil {
				t.Errorf("no error, and %v", path)
			}
		})
	}
}

// TestWalkPassesBy walks where nothing of ours stands.
func TestWalkPassesBy(t *testing.T) {
	full := rules.Table{Chains: []rules.Chain{{Name: rules.ServicePre, Rules: []rules.Rule{{Target: rules.Target{Kind: rules.DNAT, Port: 80}}}}}}
	packet := rules.Packet{Protocol: "tcp", Port: 80}
	for name, walk := range map[string]struct {
		table   rules.Table
		builtIn string
	}{
		"an empty table":       {rules.Table{}, rules.Prerouting},
		"INPUT of a full one":  {full, rules.Input},
		"a chain of no kernel": {full, "MANGLE"},
	} {
		if path, err := Trace(walk.table, walk.builtIn, packet); err != nil || len(path.Ends()) != 0 {
			t.Errorf("%s: %v, %v", name, path, err)
		}
	}
}

// TestWalkComesBack walks on behind a chain that took only a part.
func TestWalkComesBack(t *testing.T) {
	half := rules.Statistic{Steps: rules.ProbabilityScale / 2}
	to := func(port uint16) rules.Target { return rules.Target{Kind: rules.DNAT, Port: port} }
	table := rules.Table{Chains: []rules.Chain{
		{Name: rules.ServicePre, Rules: []rules.Rule{
			{Statistic: rules.Statistic{Every: 3}, Target: rules.Target{Kind: rules.Jump, Chain: "NATSPREAD-web"}},
			{Statistic: half, Target: to(3)},
		}},
		{Name: "NATSPREAD-web", Rules: []rules.Rule{{Statistic: half, Target: to(1)}, {Statistic: half, Target: to(2)}}},
	}}
	path, err := Trace(table, rules.Prerouting, rules.Packet{})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := path.Ends()
	want := []*big.Rat{big.NewRat(1, 6), big.NewRat(1, 12), big.NewRat(3, 8)}
	if len(outcomes) != len(want) {
		t.Fatalf("got %v", outcomes)
	}
	for i, outcome := range outcomes {
		if outcome.Rule.Target.Port != uint16(i+1) || outcome.Taken.Share.Cmp(want[i]) != 0 {
			t.Errorf("outcome %d is %v with %v, want %v", i, outcome.Rule.Target, outcome.Taken.Share, want[i])
		}
	}
}
