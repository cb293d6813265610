package rules

import (
	"net/netip"
	"testing"
)

// TestTranslates walks packets through a table with each kind of condition.
func TestTranslates(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.10")
	jump := func(chain string, rule Rule) Rule {
		rule.Target = Target{Kind: Jump, Chain: chain}
		return rule
	}
	backend := Target{Kind: DNAT, Address: netip.MustParseAddr("10.0.0.1"), Port: 80}
	table := Table{Chains: []Chain{
		{Name: ServicePre, Rules: []Rule{
			jump("NATSPREAD-none", Rule{Protocol: "udp", DestinationPorts: Ports{80, 80}}), // leads to nothing for this address
			jump("NATSPREAD-web", Rule{Protocol: "udp", Destination: netip.PrefixFrom(vip, 32), DestinationPorts: Ports{80, 89}}),
			jump("NATSPREAD-web", Rule{InInterface: "eth0", Protocol: "udp", DestinationPorts: Ports{53, 53}, LocalDestination: true}),
		}},
		{Name: ServiceOut, Rules: []Rule{jump("NATSPREAD-refuse", Rule{Protocol: "udp"})}},
		{Name: "NATSPREAD-none", Rules: []Rule{{Protocol: "tcp", Target: backend}}},
		{Name: "NATSPREAD-refuse", Rules: []Rule{{Target: Target{Kind: Refuse}}}},
		{Name: "NATSPREAD-web", Rules: []Rule{{Statistic: Statistic{Every: 2}, Target: backend}}},
	}}
	table.Sort()
	for name, tt := range map[string]struct {
		builtIn string
		packet  Packet
		want    bool
	}{
		"by address and range":      {Prerouting, Packet{Protocol: "udp", Destination: vip, Port: 89}, true},
		"behind a chain in vain":    {Prerouting, Packet{Protocol: "udp", Destination: vip, Port: 80}, true},
		"another port":              {Prerouting, Packet{Protocol: "udp", Destination: vip, Port: 90}, false},
		"another address":           {Prerouting, Packet{Protocol: "udp", Destination: vip.Next(), Port: 80}, false},
		"another protocol":          {Prerouting, Packet{Protocol: "tcp", Destination: vip, Port: 80}, false},
		"any interface":             {Prerouting, Packet{Protocol: "udp", Destination: vip, Port: 53, Local: true}, true},
		"that interface":            {Prerouting, Packet{Protocol: "udp", Destination: vip, Port: 53, Local: true, InInterface: "eth0"}, true},
		"another interface":         {Prerouting, Packet{Protocol: "udp", Destination: vip, Port: 53, Local: true, InInterface: "eth1"}, false},
		"not the host's":            {Prerouting, Packet{Protocol: "udp", Destination: vip, Port: 53}, false},
		"a refusal is a target too": {Output, Packet{Protocol: "udp", Destination: vip, Port: 7}, true},
		"no hook":                   {Input, Packet{Protocol: "udp", Destination: vip, Port: 80}, false},
	} {
		if got := table.CanTranslate(tt.builtIn, tt.packet); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	two := Table{Chains: []Chain{
		{Name: "NATSPREAD-none"}, {Name: "NATSPREAD-web", Rules: []Rule{{Target: backend}}},
		{Name: ServicePre, Rules: []Rule{{InInterface: "eth0", Target: Target{Kind: Goto, Chain: "NATSPREAD-none"}}, jump("NATSPREAD-web", Rule{})}},
	}}
	two.Sort()
	for link, want := range map[string]bool{"": true, "eth0": false, "eth1": true} {
		if got := two.CanTranslate(Prerouting, Packet{InInterface: link, Protocol: "udp", Destination: vip}); got != want {
			t.Errorf("behind what eth0 alone goes to, by %q: %v", link, got)
		}
	}
	if slots := sampleSlots(IPv4); !slots.CanTranslate(Prerouting, Packet{Protocol: "tcp", Destination: vip, Port: 80}) {
		t.Error("no slot leads anywhere")
	}
	only := Table{Chains: []Chain{{Name: ServicePre, Rules: []Rule{{Target: Target{Kind: Hash, Prefix: 32, Slots: 16}}, {Target: Target{Kind: RestoreMark}}}}}}
	if only.CanTranslate(Prerouting, Packet{Protocol: "tcp", Destination: vip, Port: 80}) {
		t.Error("a mark is no translation")
	}
	if (Table{}).CanTranslate(Prerouting, Packet{}) {
		t.Error("an empty table translates")
	}
	circle := Table{Chains: []Chain{{Name: ServicePre, Rules: []Rule{jump(ServicePre, Rule{})}}}}
	if circle.CanTranslate(Prerouting, Packet{}) {
		t.Error("a circle translates")
	}
}

// TestTurnsAway asks the gates of services for whom they are.
func TestTurnsAway(t *testing.T) {
	vip, client := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("198.51.100.7")
	to := func(chain string) Target { return Target{Kind: Goto, Chain: chain} }
	table := Table{Chains: []Chain{
		{Name: ServicePre, Rules: []Rule{
			{Protocol: "udp", DestinationPorts: Ports{80, 80}, Target: to("NATSPREAD-webG")},
			{Protocol: "udp", DestinationPorts: Ports{81, 81}, Target: to("NATSPREAD-web")},
			{Protocol: "udp", InInterface: "eth0", DestinationPorts: Ports{83, 83}, Target: Target{Kind: Jump, Chain: "NATSPREAD-webG"}},
			{Protocol: "udp", InInterface: "eth1", DestinationPorts: Ports{83, 83}, Target: to("NATSPREAD-two")},
		}},
		{Name: "NATSPREAD-two", Rules: []Rule{{Protocol: "udp", Target: Target{Kind: DNAT, Address: vip.Next()}}}},
		{Name: "NATSPREAD-web", Rules: []Rule{{Protocol: "udp", Target: Target{Kind: DNAT, Address: vip.Next()}}}},
		{Name: "NATSPREAD-webG", Rules: []Rule{
			{Source: netip.PrefixFrom(client, 32), Target: Target{Kind: Return}},
			{Source: netip.PrefixFrom(client, 24).Masked(), Target: to("NATSPREAD-Gabc")},
		}},
		{Name: "NATSPREAD-Gabc", Rules: []Rule{{Target: to("NATSPREAD-web")}}},
	}}
	table.Sort()
	for name, tt := range map[string]struct {
		client  netip.Addr
		port    uint16
		service string
		want    bool
	}{
		"served": {client.Next(), 80, "", false}, "denied": {client, 80, "", true}, "not allowed": {vip, 80, "web", true},
		"without a gate": {client, 81, "", false}, "of nobody": {client, 82, "", false},
		"at another one": {client, 83, "", false}, "not at this one": {client, 83, "web", true}, "at the one of another interface": {client, 83, "two", false},
		"served here": {client.Next(), 83, "web", false},
	} {
		packet := Packet{Protocol: "udp", Source: tt.client, Destination: vip, Port: tt.port}
		if got := table.TurnsAway(Prerouting, packet, tt.service); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for chain, want := range map[string]bool{
		"NATSPREAD-webG": true, "NATSPREAD-webGA": true, "NATSPREAD-webGR": true, "NATSPREAD-Gabc": true,
		"NATSPREAD-web": false, "NATSPREAD-webG00": false, "NATSPREAD-PRE": false, "DOCKER": false,
	} {
		if IsGate(chain) != want {
			t.Errorf("%s is a gate: %v", chain, !want)
		}
	}
}
