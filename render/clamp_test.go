package render

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// mustClamp sends the first packets of connections through FORWARD of the mangle table and fails unless
// those, and only those, get shorter segments whose service wants that: also when every backend is
// drained. One in the midst of a connection says nothing of segments.
func mustClamp(t rapid.TB, owners owners, packets map[rules.Packet]bool, mangle rules.Table) {
	t.Helper()
	for packet := range packets {
		owner := owners.first(packet.OriginalAddress, func(o *owner) bool { return o.ClampMSS.On && o.clamps(packet) })
		outcomes, err := walkTo(mangle, rules.Forward, packet)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case owner == nil && len(outcomes) == 0:
		case owner != nil && len(outcomes) == 1 && isOne(outcomes[0].Share) && outcomes[0].Target == rules.Target{Kind: rules.ClampMSS, Segment: uint16(owner.ClampMSS.Segment)}:
		default:
			t.Fatalf("%+v meets %v; its service is %+v", packet, outcomes, owner)
		}
		packet.Midstream = true
		if outcomes, err := walkTo(mangle, rules.Forward, packet); err != nil || len(outcomes) != 0 {
			t.Fatalf("%+v meets %v, %v", packet, outcomes, err)
		}
	}
}

// clamps tells whether a packet's connection is one of TCP that asked for the service: by what it had
// asked for, and with "*", or where several services listen, also by where it goes.
func (o *owner) clamps(packet rules.Packet) bool {
	if packet.Protocol != "tcp" || !packet.OriginalAddress.IsValid() || !slices.Contains(o.Protocols, config.TCP) {
		return false
	}
	alone := func(l config.Listen) bool {
		return l.Addr == packet.OriginalAddress && l.Ports.Contains(packet.OriginalPort) && len(o.together[listenPlace{l.String(), "tcp"}]) == 0
	}
	return o.answersAsked(packet) || slices.ContainsFunc(o.Listen, alone)
}

// TestNobodyClamps plans no mangle table where no service has TCP and asks for it.
func TestNobodyClamps(t *testing.T) {
	cfg, err := config.Parse("f.toml", []byte("[defaults]\nclamp_mss = true\n[[service]]\nname = \"dns\"\nlisten = \"192.0.2.10:53\"\nprotocol = \"udp\"\nbackends = [\"10.0.0.1:53\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if plan := New(cfg); !plan.MangleIPv4.Empty() || !plan.MangleIPv6.Empty() {
		t.Errorf("planned\n%s", plan.MangleIPv4.Text())
	}
}
