package render

import (
	"math"
	"math/big"
	"net/netip"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// TestTraceCountsRules counts by hand what the kernel looks at: a chain that comes back
// has cost its rules, too, and one that is left by -g leads behind its caller.
func TestTraceCountsRules(t *testing.T) {
	half := rules.Statistic{Steps: rules.Certain / 2}
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
	way, err := Trace(table, rules.Prerouting, rules.Packet{Protocol: "tcp"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Flow{
		{Share: big.NewRat(1, 2), Mean: 4, Worst: 4},
		{Share: big.NewRat(1, 4), Mean: 6, Worst: 6},
		{Share: big.NewRat(1, 8), Mean: 7, Worst: 7},
	}
	var got []Flow
	way.ends(func(end Step) { got = append(got, end.Taken) })
	if len(got) != len(want) {
		t.Fatalf("%d ends", len(got))
	}
	for i := range want {
		mustBeFlow(t, got[i], want[i])
	}
	mustBeFlow(t, way.Left, Flow{Share: big.NewRat(1, 8), Mean: 9, Worst: 9})
	mustBeFlow(t, way.Work(), Flow{Share: big.NewRat(1, 1), Mean: 4./2 + 6./4 + 7./8 + 9./8, Worst: 9})
	if root := way.Steps[0].Into; root.Rules != 5 || root.Steps[0].Place != 2 || root.Steps[2].Place != 4 {
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

// TestTraceCountsInTrees counts the rules of a tree of backends by its shape: of 16
// equal ones each of four branches leads to four.
func TestTraceCountsInTrees(t *testing.T) {
	cfg := oneService(config.Random, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	listen := cfg.Services[0].Listen[0]
	packet := rules.Packet{Protocol: "tcp", Destination: listen.Addr, Port: listen.Ports.First}
	explained, err := Explain(New(cfg), packet)
	if err != nil {
		t.Fatal(err)
	}
	if len(explained.Becomes) != 16 || !explained.Same() {
		t.Fatalf("%d ends, the same made here: %v", len(explained.Becomes), explained.Same())
	}
	for i, become := range explained.Becomes {
		if want := 2 + (i/4 + 1) + (i%4 + 1); become.Incoming.Worst != want {
			t.Errorf("backend %d: %d rules, not %d", i, become.Incoming.Worst, want)
		}
		if after := become.After.Work(); after.Worst != 2 {
			t.Errorf("backend %d: %d rules in POSTROUTING", i, after.Worst)
		}
	}
}

// TestExplain says what becomes of connections of each kind.
func TestExplain(t *testing.T) {
	cfg, err := config.Parse("test", []byte(`
[[service]]
name = "web"
listen = ["192.0.2.10:80-89", "*:443"]
interface = "eth1"
snat = "none"
hairpin = ["10.0.0.0/24"]
forward = "accept"
backends = ["10.0.0.1", { address = "10.0.0.2", weight = 0 }]
[[service]]
name = "dns"
listen = "192.0.2.10:53"
protocol = "udp"
local = false
backends = [{ address = "10.0.0.3:53", weight = 0 }]
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		packet          rules.Packet
		incoming, local string // the one target, "" for untouched
		after           string
		forward         string
	}{
		"a port is kept":        {packetTo(t, "192.0.2.10:85", "tcp", "eth1", ""), "10.0.0.1:85", "10.0.0.1:85", "", "-j ACCEPT"},
		"another interface":     {packetTo(t, "192.0.2.10:85", "tcp", "eth0", ""), "", "10.0.0.1:85", "", ""},
		"a client beside":       {packetTo(t, "192.0.2.10:85", "tcp", "eth1", "10.0.0.9"), "10.0.0.1:85", "10.0.0.1:85", "-j MASQUERADE", "-j ACCEPT"},
		"any address, a client": {packetTo(t, "198.51.100.1:443", "tcp", "eth1", "10.0.0.9"), "10.0.0.1:443", "10.0.0.1:443", "-j MASQUERADE", "-j ACCEPT"},
		"localhost's own":       {packetTo(t, "127.0.0.1:443", "tcp", "eth1", ""), "10.0.0.1:443", "", "", "-j ACCEPT"},
		"drained, not local":    {packetTo(t, "192.0.2.10:53", "udp", "eth0", ""), "refused", "", "", ""},
		"nobody's":              {packetTo(t, "192.0.2.10:53", "tcp", "eth0", ""), "", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			explained, err := Explain(New(cfg), test.packet)
			if err != nil {
				t.Fatal(err)
			}
			incoming, local, after, forward := becameOf(explained)
			if incoming != test.incoming || local != test.local || after != test.after || forward != test.forward {
				t.Errorf("incoming %q, local %q, after %q, in FORWARD %q", incoming, local, after, forward)
			}
			if explained.Same() {
				t.Error("other rules stand in OUTPUT, and it is called the same")
			}
		})
	}
}

// packetTo is a packet to an address of the balancer's.
func packetTo(t *testing.T, to, protocol, in, from string) rules.Packet {
	t.Helper()
	_, packet := question(t, []string{rules.Prerouting, protocol, to, "local", "in", in})
	if from != "" {
		_, packet = question(t, []string{rules.Prerouting, protocol, to, "local", "in", in, "from", from})
	}
	return packet
}

// becameOf names the one thing that becomes of each kind of connection.
func becameOf(explained Explanation) (incoming, local, after, forward string) {
	for _, become := range explained.Becomes {
		name := ""
		switch {
		case become.Target.Kind == rules.Redirect:
			name = "refused"
		case become.Taken:
			name = string(rules.Rule{Target: become.Target}.AppendText(nil))[len("-j DNAT --to-destination "):]
		}
		if become.Incoming.Share.Sign() > 0 {
			incoming = name
		}
		if become.Local.Share.Sign() > 0 {
			local = name
		}
		after += endOf(become.After)
		forward += endOf(become.Forward)
	}
	return incoming, local, after, forward
}

// endOf returns the targets of a way, if there is one.
func endOf(way *Way) (text string) {
	if way != nil {
		for _, target := range way.Targets() {
			text += string(rules.Rule{Target: target}.AppendText(nil))
		}
	}
	return text
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
	explained, err := Explain(Plan{IPv4: table}, rules.Packet{InInterface: "eth0", Destination: netip.MustParseAddr("192.0.2.10")})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(explained.Incoming.Targets()); got != 1 {
		t.Errorf("%d ends in PREROUTING", got)
	}
	if got := len(explained.Local.Targets()); got != 0 {
		t.Errorf("%d ends in OUTPUT", got)
	}
	if got := len(explained.Becomes[0].After.Targets()); got != 0 {
		t.Errorf("%d ends in POSTROUTING", got)
	}
}
