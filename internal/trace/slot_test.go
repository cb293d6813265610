package trace

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/screen"
	"natspread/render"
)

// mark16 puts connections into 16 slots.
var mark16 = rules.Rule{Target: rules.Target{Kind: rules.Hash, Prefix: 32, Slots: 16}}

// marked returns a rule on some bits of the mark.
func marked(value, mask uint16, target rules.Target) rules.Rule {
	return rules.Rule{Mark: rules.Mark{Value: value, Mask: mask}, Target: target}
}

// TestTraceCountsSlots takes slots by their bits, in chains that come back and that do not.
func TestTraceCountsSlots(t *testing.T) {
	to := func(port uint16) rules.Target { return rules.Target{Kind: rules.DNAT, Port: port} }
	table := rules.Table{Chains: []rules.Chain{
		{Name: rules.ServicePre, Rules: []rules.Rule{
			mark16,
			marked(0x0, 0xc, rules.Target{Kind: rules.Goto, Chain: "NATSPREAD-a"}), // slots 0 to 3
			marked(0x4, 0xc, rules.Target{Kind: rules.Jump, Chain: "NATSPREAD-b"}), // slots 4 to 7
			marked(0x5, 0xf, to(3)),
			{Target: to(4)},
		}},
		{Name: "NATSPREAD-a", Rules: []rules.Rule{marked(0x3, 0x3, to(1)), {Target: rules.Target{Kind: rules.RestoreMark}}, {Protocol: "tcp", Target: to(2)}}},
		{Name: "NATSPREAD-b", Rules: []rules.Rule{marked(0x4, 0xf, to(5))}}, // 5 to 7 come back
	}}
	walk := func(client string) map[uint16]string {
		packet := rules.Packet{Protocol: "tcp"}
		if client != "" {
			packet.Source = netip.MustParseAddr(client)
		}
		path, err := Trace(table, rules.Prerouting, packet)
		if err != nil {
			t.Fatal(err)
		}
		shares := map[uint16]string{}
		for _, end := range path.Ends() {
			shares[end.Rule.Target.Port] = end.Taken.Share.RatString()
		}
		return shares
	}
	for client, want := range map[string]map[uint16]string{
		"":             {1: "1/16", 2: "3/16", 5: "1/16", 3: "1/16", 4: "5/8"},
		"198.51.100.7": {4: "1"}, // slot 15
		"192.0.2.99":   {2: "1"}, // slot 0
	} {
		got := walk(client)
		for port, share := range want {
			if got[port] != share || len(got) != len(want) {
				t.Errorf("%q: %v, not %v", client, got, want)
			}
		}
	}
}

// TestTraceRefusesUnknownMarks has rules on marks that no rule gave, that another packet's
// mark may be, or that chance has made unequal.
func TestTraceRefusesUnknownMarks(t *testing.T) {
	end := rules.Target{Kind: rules.DNAT, Port: 1}
	half := rules.Rule{Statistic: rules.Statistic{Every: 2}, Target: rules.Target{Kind: rules.Jump, Chain: "NATSPREAD-half"}}
	for name, list := range map[string][]rules.Rule{
		"no mark":         {marked(1, 1, end)},
		"a restored mark": {mark16, {Target: rules.Target{Kind: rules.RestoreMark}}, marked(1, 1, end)},
		"half of them":    {half, marked(1, 1, end)},
		"unequal":         {mark16, marked(0, 8, rules.Target{Kind: rules.Jump, Chain: "NATSPREAD-less"}), marked(1, 1, end)},
	} {
		table := rules.Table{Chains: []rules.Chain{
			{Name: rules.ServicePre, Rules: list},
			{Name: "NATSPREAD-half", Rules: []rules.Rule{mark16}},
			{Name: "NATSPREAD-less", Rules: []rules.Rule{{Statistic: rules.Statistic{Every: 2}, Target: end}}},
		}}
		if path, err := Trace(table, rules.Prerouting, rules.Packet{}); err == nil {
			t.Errorf("%s: %+v", name, path)
		}
	}
}

// TestFlowJoinsSlots joins flows of other slots, which stay as often as each other, and flows
// whose slots do not.
func TestFlowJoinsSlots(t *testing.T) {
	of := func(share *big.Rat, marks ...uint16) Flow { return Flow{Share: share, marks: marks} }
	a := of(big.NewRat(1, 8), 1, 2)
	for name, test := range map[string]struct {
		other Flow
		mixed bool
	}{
		"others":       {of(big.NewRat(3, 16), 3, 4, 5), false},
		"more often":   {of(big.NewRat(1, 8), 3), true},
		"the same":     {of(big.NewRat(1, 16), 2), true},
		"without":      {of(big.NewRat(1, 16)), true},
		"mixed before": {Flow{Share: big.NewRat(1, 16), marks: []uint16{3}, mixed: true}, true},
		"none":         {none(), false},
	} {
		if got := a.Join(test.other).mixed; got != test.mixed {
			t.Errorf("%s: mixed is %v", name, got)
		}
	}
}

// explained returns what is said of a client of a service with these lines.
func explained(t *testing.T, from string, lines ...string) (text string, result ExplanationResult) {
	t.Helper()
	cfg, err := config.Parse("f.toml", []byte("[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\n"+strings.Join(lines, "\n")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	packet := rules.Packet{Protocol: "tcp", Destination: netip.MustParseAddr("192.0.2.10"), Port: 80, Local: true}
	if from != "" {
		packet.Source = netip.MustParseAddr(from)
	}
	explained, err := Explain(render.New(cfg), packet)
	if err != nil {
		t.Fatal(err)
	}
	question := Question{Packet: packet, Service: "web"}
	return question.Text(explained, false, screen.Screen{}), question.Result(explained)
}

// TestExplainSlot names the one backend of a client, for people and for programs.
func TestExplainSlot(t *testing.T) {
	const three = `backends = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]`
	for _, test := range []struct {
		from  string
		lines []string
		want  string
		slot  string
	}{
		{"198.51.100.7", []string{three, `algorithm = "source"`}, "\n198.51.100.7 is slot 242 of 256: 10.0.0.2, always; 85 of 256 clients\n", `{"number":242,"of":256,"backend":"10.0.0.2","owned":85}`},
		{"198.51.100.7", []string{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", drain = true }, "10.0.0.3:80"]`, `algorithm = "source"`}, "\n198.51.100.7 is slot 242 of 256: 10.0.0.1:80, always; 128 of 256 clients\n", `{"number":242,"of":256,"backend":"10.0.0.1:80","owned":128}`},
		{"198.51.100.7", []string{three, `algorithm = "source"`, "source_prefix = 24"}, "\n198.51.100.7 is slot 76 of 256: 10.0.0.", `{"number":76,`},
		{"192.0.2.99", []string{three, `algorithm = "source"`, "slots = 1024"}, "\n192.0.2.99 is slot 58 of 1024: 10.0.0.", `{"number":58,"of":1024,`},
		{"", []string{three, `algorithm = "source"`}, "\nA client is one of 256 slots, and keeps its backend: --from says which one.\n", "null"},
		{"198.51.100.7", []string{three, `algorithm = "flow"`}, "\nA connection is one of 256 slots by its client's address and port: which backend it gets is not said here.\n", "null"},
		{"198.51.100.7", []string{three}, "", "null"},
		{"198.51.100.7", []string{`backends = [{ address = "10.0.0.1", drain = true }]`, `algorithm = "source"`}, "", "null"},
		{"198.51.100.7", []string{`backends = [{ address = "10.0.0.1", drain = true }]`, `algorithm = "source"`, `snat = "none"`, "takeover = true"}, "", "null"},
		{"", []string{`backends = [{ address = "10.0.0.1", drain = true }]`, `algorithm = "flow"`, `snat = "none"`, "takeover = true"}, "", "null"},
	} {
		text, result := explained(t, test.from, test.lines...)
		if !strings.Contains(text, test.want) || test.want == "" && strings.Contains(text, "slot") {
			t.Errorf("%v: no %q in\n%s", test.lines, test.want, text)
		}
		printed, err := json.Marshal(result.Slot)
		if err != nil || !strings.HasPrefix(string(printed), test.slot) {
			t.Errorf("%v: %s, not %s", test.lines, printed, test.slot)
		}
		if len(result.Outcomes) > 1 && test.from != "" && result.Slot != nil {
			t.Errorf("%v: more than one backend: %+v", test.lines, result.Outcomes)
		}
	}
}
