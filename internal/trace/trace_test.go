package trace

import (
	"math"
	"math/big"
	"net/netip"
	"testing"

	"natspread/internal/rules"
)

// TestTraceCountsRules counts by hand what the kernel looks at: a chain that comes back
// has cost its rules, too, and one that is left by -g leads behind its caller.
func TestTraceCountsRules(t *testing.T) {
	half := rules.Statistic{Steps: rules.ProbabilityScale / 2}
	to := func(port uint16) rules.Target { return rules.Target{Kind: rules.DNAT, Port: port} }
	table := rules.Table{Chains: []rules.Chain{
		{Name: rules.ServicePre, Rules: []rules.Rule{
			{Protocol: "udp", Target: to(9)},                               // 2, behind the jump
			{Target: rules.Target{Kind: rules.Jump, Chain: "NATSPREAD-a"}}, // 3
			{Statistic: half, Target: to(4)},                               // 7 for what came back
			{Target: rules.Target{Kind: rules.Goto, Chain: "NATSPREAD-c"}}, // 8
			{Target: to(9)},
		}},
		{Name: "NATSPREAD-a", Rules: []rules.Rule{
			{Statistic: half, Target: to(1)},                               // 4
			{Target: rules.Target{Kind: rules.Goto, Chain: "NATSPREAD-b"}}, // 5
			{Target: to(9)},
		}},
		{Name: "NATSPREAD-b", Rules: []rules.Rule{{Statistic: half, Target: to(2)}}}, // 6
		{Name: "NATSPREAD-c", Rules: []rules.Rule{{Protocol: "udp", Target: to(9)}}}, // 9
	}}
	path, err := Trace(table, rules.Prerouting, rules.Packet{Protocol: "tcp"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Flow{
		{Share: big.NewRat(1, 2), Mean: 4, Worst: 4},
		{Share: big.NewRat(1, 4), Mean: 6, Worst: 6},
		{Share: big.NewRat(1, 8), Mean: 7, Worst: 7},
	}
	var got []Flow
	for _, end := range path.Ends() {
		got = append(got, end.Taken)
	}
	if len(got) != len(want) {
		t.Fatalf("%d ends", len(got))
	}
	for i := range want {
		mustBeFlow(t, got[i], want[i])
	}
	mustBeFlow(t, path.Remainder, Flow{Share: big.NewRat(1, 8), Mean: 9, Worst: 9})
	mustBeFlow(t, path.Work(), Flow{Share: big.NewRat(1, 1), Mean: 4./2 + 6./4 + 7./8 + 9./8, Worst: 9})
	if root := path.Hops[0].Into; root.Rules != 5 || root.Hops[0].Place != 2 || root.Hops[2].Place != 4 {
		t.Errorf("another way: %+v", root)
	}
}

// mustBeFlow compares flows.
func mustBeFlow(t *testing.T, got, want Flow) {
	t.Helper()
	if got.Share.Cmp(want.Share) != 0 || math.Abs(got.Mean-want.Mean) > 1e-9 || got.Worst != want.Worst {
		t.Errorf("%v of all with %v rules, at most %d; want %v with %v, at most %d",
			got.Share, got.Mean, got.Worst, want.Share, want.Mean, want.Worst)
	}
}

// TestFlowJoin joins flows in either order, and with nothing.
func TestFlowJoin(t *testing.T) {
	a := Flow{Share: big.NewRat(1, 4), Mean: 2, Worst: 3}
	b := Flow{Share: big.NewRat(1, 2), Mean: 5, Worst: 9}
	both := Flow{Share: big.NewRat(3, 4), Mean: 4, Worst: 9}
	mustBeFlow(t, a.Join(b), both)
	mustBeFlow(t, b.Join(a), both)
	mustBeFlow(t, a.Join(none()), a)
	mustBeFlow(t, none().Join(a), a)
}

// TestExplainForgetsTheInterface holds OUTPUT and POSTROUTING to what the kernel knows
// there: no interface by which a packet came in.
func TestExplainForgetsTheInterface(t *testing.T) {
	byEth0 := func(target rules.Target) []rules.Rule { return []rules.Rule{{InInterface: "eth0", Target: target}} }
	table := rules.Table{Chains: []rules.Chain{
		{Name: rules.ServiceOut, Rules: byEth0(rules.Target{Kind: rules.DNAT, Port: 2})},
		{Name: rules.ServicePost, Rules: byEth0(rules.Target{Kind: rules.Masquerade})},
		{Name: rules.ServicePre, Rules: byEth0(rules.Target{Kind: rules.DNAT, Port: 1})},
	}}
	explained, err := Explain(rules.Tables{IPv4: table}, rules.Packet{InInterface: "eth0", Destination: netip.MustParseAddr("192.0.2.10")})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(explained.Incoming.Targets()); got != 1 {
		t.Errorf("%d ends in PREROUTING", got)
	}
	if got := len(explained.Local.Targets()); got != 0 {
		t.Errorf("%d ends in OUTPUT", got)
	}
	if got := len(explained.Outcomes[0].After.Targets()); got != 0 {
		t.Errorf("%d ends in POSTROUTING", got)
	}
}
