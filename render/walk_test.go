package render

import (
	"math/big"
	"testing"

	"natspread/config"
	"natspread/nat"
)

// TestWalkRefuses holds Walk to an end on tables that the kernel would refuse.
func TestWalkRefuses(t *testing.T) {
	jump := func(chain string) []nat.Rule {
		return []nat.Rule{{Target: nat.Target{Kind: nat.Jump, Chain: chain}}}
	}
	for name, chains := range map[string][]nat.Chain{
		"a jump to nowhere":         {{Name: nat.ServicePre, Rules: jump("NATSPREAD-web")}},
		"no chain for the jump":     {{Name: "NATSPREAD-web"}},
		"a chain that is a circle":  {{Name: nat.ServicePre, Rules: jump(nat.ServicePre)}},
		"a circle over two chains":  {{Name: nat.ServicePre, Rules: jump("NATSPREAD-a")}, {Name: "NATSPREAD-a", Rules: jump(nat.ServicePre)}},
		"a circle behind a picking": {{Name: nat.ServicePre, Rules: append([]nat.Rule{{Statistic: nat.Statistic{Every: 2}}}, jump(nat.ServicePre)...)}},
	} {
		t.Run(name, func(t *testing.T) {
			if outcomes, err := Walk(nat.Table{Chains: chains}, nat.Prerouting, nat.Packet{}); err == nil {
				t.Errorf("no error, and %v", outcomes)
			}
		})
	}
}

// TestWalkPassesBy walks where nothing of ours stands.
func TestWalkPassesBy(t *testing.T) {
	full := New(oneService(config.Random, 1)).IPv4
	packet := nat.Packet{Protocol: "tcp", Destination: full.Chains[0].Rules[0].Destination.Addr(), Port: 80}
	for name, walk := range map[string]struct {
		table   nat.Table
		builtIn string
	}{
		"an empty table":       {nat.Table{}, nat.Prerouting},
		"INPUT of a full one":  {full, nat.Input},
		"a chain of no kernel": {full, "MANGLE"},
	} {
		if outcomes, err := Walk(walk.table, walk.builtIn, packet); err != nil || len(outcomes) != 0 {
			t.Errorf("%s: %v, %v", name, outcomes, err)
		}
	}
}

// TestWalkComesBack walks on behind a chain that took only a part.
func TestWalkComesBack(t *testing.T) {
	half := nat.Statistic{Steps: nat.Certain / 2}
	to := func(port uint16) nat.Target { return nat.Target{Kind: nat.DNAT, Port: port} }
	table := nat.Table{Chains: []nat.Chain{
		{Name: nat.ServicePre, Rules: []nat.Rule{
			{Statistic: nat.Statistic{Every: 3}, Target: nat.Target{Kind: nat.Jump, Chain: "NATSPREAD-web"}},
			{Statistic: half, Target: to(3)},
		}},
		{Name: "NATSPREAD-web", Rules: []nat.Rule{{Statistic: half, Target: to(1)}, {Statistic: half, Target: to(2)}}},
	}}
	outcomes, err := Walk(table, nat.Prerouting, nat.Packet{})
	if err != nil {
		t.Fatal(err)
	}
	want := []*big.Rat{big.NewRat(1, 6), big.NewRat(1, 12), big.NewRat(3, 8)}
	if len(outcomes) != len(want) {
		t.Fatalf("got %v", outcomes)
	}
	for i, outcome := range outcomes {
		if outcome.Target.Port != uint16(i+1) || outcome.Share.Cmp(want[i]) != 0 {
			t.Errorf("outcome %d is %v with %v, want %v", i, outcome.Target, outcome.Share, want[i])
		}
	}
}
