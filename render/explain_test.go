package render

import (
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/trace"
)

// TestTraceCountsInTrees counts the rules of a tree of backends by its shape: of 16
// equal ones each of four branches leads to four.
func TestTraceCountsInTrees(t *testing.T) {
	cfg := oneService(config.Random, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	listen := cfg.Services[0].Listen[0]
	packet := rules.Packet{Protocol: "tcp", Destination: listen.Addr, Port: listen.Ports.First}
	explained, err := trace.Explain(New(cfg), packet)
	if err != nil {
		t.Fatal(err)
	}
	if len(explained.Outcomes) != 16 || !explained.Same() {
		t.Fatalf("%d ends, the same made here: %v", len(explained.Outcomes), explained.Same())
	}
	for i, outcome := range explained.Outcomes {
		if want := 2 + (i/4 + 1) + (i%4 + 1); outcome.Incoming.Worst != want {
			t.Errorf("backend %d: %d rules, not %d", i, outcome.Incoming.Worst, want)
		}
		if after := outcome.After.Work(); after.Worst != 2 {
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
[[service]]
name = "game"
listen = "192.0.2.11:8000-8010"
interface = "eth1"
backends = ["10.0.0.4:9000-9010"]
forward = "accept"
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
		"a port is kept":        {packetTo(t, "192.0.2.10:85", "tcp", "eth1", ""), "10.0.0.1:85", "10.0.0.1:85", "-j ACCEPT", "-j ACCEPT"},
		"another interface":     {packetTo(t, "192.0.2.10:85", "tcp", "eth0", ""), "", "10.0.0.1:85", "-j ACCEPT", ""},
		"a client beside":       {packetTo(t, "192.0.2.10:85", "tcp", "eth1", "10.0.0.9"), "10.0.0.1:85", "10.0.0.1:85", "-j MASQUERADE", "-j ACCEPT"},
		"any address, a client": {packetTo(t, "198.51.100.1:443", "tcp", "eth1", "10.0.0.9"), "10.0.0.1:443", "10.0.0.1:443", "-j MASQUERADE", "-j ACCEPT"},
		"localhost's own":       {packetTo(t, "127.0.0.1:443", "tcp", "eth1", ""), "10.0.0.1:443", "", "-j ACCEPT", "-j ACCEPT"},
		"drained, not local":    {packetTo(t, "192.0.2.10:53", "udp", "eth0", ""), "refused", "", "", ""},
		"shifted":               {packetTo(t, "192.0.2.11:8003", "tcp", "eth1", ""), "10.0.0.4:9003", "10.0.0.4:9003", "-j MASQUERADE", "-j ACCEPT"},
		"nobody's":              {packetTo(t, "192.0.2.10:53", "tcp", "eth0", ""), "", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			explained, err := trace.Explain(New(cfg), test.packet)
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
func becameOf(explained trace.Explanation) (incoming, local, after, forward string) {
	for _, outcome := range explained.Outcomes {
		name := ""
		switch {
		case outcome.Target.Kind == rules.Refuse:
			name = "refused"
		case outcome.Taken:
			name = string(rules.Rule{Target: outcome.Target}.AppendText(nil))[len("-j DNAT --to-destination "):]
		}
		if outcome.Incoming.Share.Sign() > 0 {
			incoming = name
		}
		if outcome.Local.Share.Sign() > 0 {
			local = name
		}
		after += endOf(outcome.After)
		forward += endOf(outcome.Forward)
	}
	return incoming, local, after, forward
}

// endOf returns the targets of a way, if there is one.
func endOf(path *trace.Path) (text string) {
	if path != nil {
		for _, target := range path.Targets() {
			text += string(rules.Rule{Target: target}.AppendText(nil))
		}
	}
	return text
}
