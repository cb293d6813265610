package packetpath

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"natspread/internal/rules"
)

// arriving is the first packet of a client to 192.0.2.10:80.
func arriving() Packet {
	return Packet{
		In: "front", Protocol: "tcp", Destination: netip.MustParseAddr("192.0.2.10"), DestinationPort: 80,
		States: []string{"NEW"}, ToHost: true,
	}
}

// answering is a reply of the backend, natspread having translated the source.
func answering() Packet {
	return Packet{
		In: "back", Out: "front", Protocol: "tcp", Source: netip.MustParseAddr("10.0.0.1"), SourcePort: 80,
		States: []string{"ESTABLISHED", "DNAT", "SNAT"}, OrigDst: netip.MustParseAddrPort("192.0.2.10:80"), ReplySrc: netip.MustParseAddrPort("10.0.0.1:80"),
	}
}

// natTable is the nat table of a host, with rules of others before and behind natspread's.
func natTable(before, behind string) string {
	return "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:NATSPREAD-PRE - [0:0]\n:OTHER - [0:0]\n" +
		before + "\n-A PREROUTING -j NATSPREAD-PRE\n" + behind + "\nCOMMIT\n"
}

// world is what the kernel of a test holds, in the words of iptables-save, and of nft -j,
// where | stands before each further table.
type world struct{ nft, legacy, native string }

// path sorts what was read of a world.
func (w world) path() Path { return New(w.read()) }

// read reads a world. The tables of nft were made in the order in which they stand there, that
// of iptables after the first one.
func (w world) read() Read {
	read := Read{Variant: rules.NFT, Hooks: rules.Hooks{Rulesets: []rules.Ruleset{
		rules.ParseRuleset(rules.IPv4, rules.NFT, []byte(w.nft)), rules.ParseRuleset(rules.IPv4, rules.Legacy, []byte(w.legacy)),
	}}}
	for i, one := range strings.Split(w.native, "|") {
		if one == "" {
			continue
		}
		table := fmt.Sprintf("t%d", i)
		read.Native = append(read.Native, rules.NativeTable{Family: "inet", Name: table, JSON: []byte(`{"nftables": [` + one + `]}`), Text: []byte("rule # handle 7\n")})
		read.Chains = append(read.Chains, rules.BaseChain{Family: "inet", Table: table, Name: "c"})
		if i == 0 {
			read.Chains = append(read.Chains, rules.BaseChain{Family: "ip", Table: "nat", Name: "PREROUTING"})
		}
	}
	return read
}

// words returns events in short.
func words(events []Event) []string {
	var all []string
	names := map[Kind]string{Dropped: "dropped", Taken: "taken", Hidden: "hidden", Untracked: "untracked", Zoned: "zoned", Asked: "asked", Unreached: "unreached"}
	for _, e := range events {
		sure := ""
		if !e.Sure {
			sure = " perhaps"
		}
		all = append(all, names[e.What]+sure+": "+e.Rule.Hook+" "+fmt.Sprint(e.Rule.Place)+": "+e.Rule.Text)
	}
	return all
}

// base is a chain of nft's own with one rule.
func base(kind, hook string, priority int, expressions string) string {
	return fmt.Sprintf(`{"chain": {"name": "c", "type": %q, "hook": %q, "prio": %d, "policy": "accept"}}, {"rule": {"chain": "c", "handle": 7, "expr": [%s]}}`, kind, hook, priority, expressions)
}

// toWeb is what asks for packets to 192.0.2.10:80.
const toWeb = `{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "192.0.2.10"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}, `

// TestArrive finds what happens to a packet of a client before natspread translates it.
func TestArrive(t *testing.T) {
	const dnat = "-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.4:80"
	share := strings.Replace(dnat, " -j ", " -m statistic --mode random --probability 0.25000000000 -j ", 1)
	clients := strings.Replace(dnat, " -d ", " -s 203.0.113.0/24 -d ", 1)
	for _, c := range []struct {
		name string
		world
		want []string
	}{
		{"nothing", world{nft: natTable("", "")}, nil},
		{"a rule ahead", world{nft: natTable(dnat, "")}, []string{"taken: PREROUTING of the nat table (nft) 1: " + dnat}},
		{"for another port", world{nft: natTable(strings.Replace(dnat, "80", "81", 1), "")}, nil},
		{"a rule that accepts", world{nft: natTable("-A PREROUTING -i front -j ACCEPT", "")}, []string{"taken: PREROUTING of the nat table (nft) 1: -A PREROUTING -i front -j ACCEPT"}},
		{"a rule that returns", world{nft: natTable("-A PREROUTING -d 192.0.2.0/24 -j RETURN", "")}, []string{"taken: PREROUTING of the nat table (nft) 1: -A PREROUTING -d 192.0.2.0/24 -j RETURN"}},
		{"a chain that returns", world{nft: natTable("-A PREROUTING -j OTHER\n-A OTHER -j RETURN", "")}, nil},
		{"some clients", world{nft: natTable("-A PREROUTING -s 203.0.113.0/24 -j ACCEPT", "")}, []string{"taken perhaps: PREROUTING of the nat table (nft) 1: -A PREROUTING -s 203.0.113.0/24 -j ACCEPT"}},
		{"nobody can tell", world{nft: natTable("-A PREROUTING -m u32 --u32 0x0=0x0 -j DNAT --to-destination 10.0.0.4", "")}, []string{"taken perhaps: PREROUTING of the nat table (nft) 1: -A PREROUTING -m u32 --u32 0x0=0x0 -j DNAT --to-destination 10.0.0.4"}},
		{"in a chain", world{nft: natTable("-A PREROUTING -m addrtype --dst-type LOCAL -j OTHER\n-A OTHER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80", "")},
			[]string{"taken: OTHER of the nat table (nft) 1: -A OTHER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80"}},
		{"behind", world{nft: natTable("", dnat)}, []string{"unreached: PREROUTING of the nat table (nft) 2: " + dnat}},
		{"behind, a share and some clients", world{nft: natTable("", share+"\n"+clients+"\n"+dnat+"\n"+dnat)}, []string{
			"unreached perhaps: PREROUTING of the nat table (nft) 2: " + share, "unreached perhaps: PREROUTING of the nat table (nft) 3: " + clients, "unreached: PREROUTING of the nat table (nft) 4: " + dnat,
		}},
		{"behind, and accepted before", world{nft: natTable("", "-A PREROUTING -p udp -j ACCEPT\n-A PREROUTING -j RETURN\n"+dnat)}, nil},
		{"untracked", world{nft: "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack\nCOMMIT\n"}, []string{"untracked: PREROUTING of the raw table (nft) 1: -A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack"}},
		{"untracked by legacy", world{legacy: "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j NOTRACK\nCOMMIT\n"}, []string{"untracked: PREROUTING of the raw table (legacy) 1: -A PREROUTING -j NOTRACK"}},
		{"of a zone", world{nft: "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i front -j CT --zone 1\nCOMMIT\n"}, []string{"zoned: PREROUTING of the raw table (nft) 1: -A PREROUTING -i front -j CT --zone 1"}},
		{"dropped", world{nft: "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j DROP\nCOMMIT\n" + natTable(dnat, "")}, []string{"dropped: PREROUTING of the mangle table (nft) 1: -A PREROUTING -p tcp -m tcp --dport 80 -j DROP"}},
		{"banned", world{nft: "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 203.0.113.0/24 -j DROP\n-A PREROUTING -m set --match-set banned src -j DROP\n-A PREROUTING -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP\nCOMMIT\n"}, nil},
		{"dropped, perhaps", world{nft: "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m u32 --u32 0x0=0x0 -j DROP\nCOMMIT\n"}, []string{"dropped perhaps: PREROUTING of the mangle table (nft) 1: -A PREROUTING -m u32 --u32 0x0=0x0 -j DROP"}},
		{"a policy", world{nft: "*mangle\n:PREROUTING DROP [0:0]\n-A PREROUTING -s 203.0.113.0/24 -j ACCEPT\nCOMMIT\n"}, []string{"dropped perhaps: PREROUTING of the mangle table (nft) 0: the policy of PREROUTING"}},
		{"a program", world{nft: "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j NFQUEUE --queue-num 0\nCOMMIT\n"}, []string{"asked perhaps: PREROUTING of the mangle table (nft) 1: -A PREROUTING -j NFQUEUE --queue-num 0"}},
		{"both variants", world{nft: natTable("", ""), legacy: "*nat\n:PREROUTING ACCEPT [0:0]\n" + dnat + "\nCOMMIT\n"}, []string{"taken perhaps: PREROUTING of the nat table (legacy) 1: " + dnat}},
		{"native, untracked", world{native: base("filter", "prerouting", -300, `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [53, 80]}}}, {"notrack": null}`)}, []string{"untracked: the nftables chain inet t0 c 1: rule"}},
		{"native, tracked already", world{native: base("filter", "prerouting", -150, toWeb+`{"notrack": null}`)}, nil},
		{"native, of a zone", world{native: base("filter", "prerouting", -300, `{"mangle": {"key": {"ct": {"key": "zone"}}, "value": 1}}`)}, []string{"zoned: the nftables chain inet t0 c 1: rule"}},
		{"native, dropped", world{native: base("filter", "prerouting", -150, toWeb+`{"drop": null}`)}, []string{"dropped: the nftables chain inet t0 c 1: rule"}},
		{"native, ahead by priority", world{nft: natTable("", ""), native: base("nat", "prerouting", -110, toWeb+`{"dnat": {"addr": "10.0.0.4"}}`)}, []string{"taken: the nftables chain inet t0 c 1: rule"}},
		{"native, accepts only", world{nft: natTable("", ""), native: base("nat", "prerouting", -110, toWeb+`{"accept": null}`)}, nil},
		{"native, made before", world{nft: natTable("", ""), native: base("nat", "prerouting", -100, toWeb+`{"dnat": {"addr": "10.0.0.4"}}`)}, []string{"unreached: the nftables chain inet t0 c 1: rule"}},
		{"native, made last", world{nft: natTable("", ""), native: base("filter", "input", 0, "") + "|" + base("nat", "prerouting", -100, toWeb+`{"redirect": {"port": 8080}}`)}, []string{"taken: the nftables chain inet t1 c 1: rule"}},
		{"native, behind by priority", world{nft: natTable("", ""), native: base("nat", "prerouting", -90, toWeb+`{"redirect": {"port": 8080}}`)}, []string{"unreached: the nftables chain inet t0 c 1: rule"}},
		{"nothing of natspread's yet", world{nft: "*nat\n:PREROUTING ACCEPT [0:0]\n" + dnat + "\nCOMMIT\n"}, []string{"unreached: PREROUTING of the nat table (nft) 1: " + dnat}},
		{"native, by a map", world{native: base("filter", "prerouting", 0-150, `{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": [[22, {"accept": null}], [80, {"drop": null}]]}}}`)}, []string{"dropped: the nftables chain inet t0 c 1: rule"}},
		{"native, by any of a map", world{native: base("filter", "prerouting", -150, `{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": [["*", {"drop": null}], [80, {"accept": null}]]}}}`)}, nil},
		{"native, what is not known", world{native: base("filter", "prerouting", -150, toWeb+`{"tproxy": {"port": 1}}`)}, []string{"asked perhaps: the nftables chain inet t0 c 1: rule"}},
		{"native, rewritten", world{native: base("filter", "prerouting", -300, toWeb+`{"mangle": {"key": {"payload": {"protocol": "ip", "field": "daddr"}}, "value": "10.0.0.4"}}`)}, []string{"asked perhaps: the nftables chain inet t0 c 1: rule"}},
		{"native, a device", world{native: `{"chain": {"name": "c", "type": "filter", "hook": "ingress", "prio": 0, "dev": "front", "policy": "drop"}}`}, []string{"dropped: the nftables chain inet t0 c 0: the policy of c"}},
		{"native, another device", world{native: `{"chain": {"name": "c", "type": "filter", "hook": "ingress", "prio": 0, "dev": "back", "policy": "drop"}}`}, nil},
	} {
		events, _ := c.path().Arrive([]Packet{arriving()})
		if got := words(events); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nnot\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// TestToHost tells packets apart that differ in nothing but whether the host has their
// destination.
func TestToHost(t *testing.T) {
	elsewhere := arriving()
	elsewhere.ToHost = false
	packets := []Packet{arriving(), elsewhere}
	for name, w := range map[string]world{
		"iptables": {nft: "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DROP\nCOMMIT\n"},
		"nft":      {native: base("filter", "prerouting", -150, `{"match": {"op": "==", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "local"}}, {"drop": null}`)},
	} {
		events, _ := w.path().Arrive(packets)
		if len(events) != 2 || !events[0].Sure || !slices.Equal(events[0].Packets, []int{0}) || events[1].Sure || !slices.Equal(events[1].Packets, []int{1}) {
			t.Errorf("%s: %+v", name, events)
		}
	}
}

// TestSleeps runs nothing of a table that is dormant, of iptables or of nft's own.
func TestSleeps(t *testing.T) {
	for _, c := range []struct {
		family, table string
		world
	}{
		{"ip", "mangle", world{nft: "*mangle\n:PREROUTING DROP [0:0]\nCOMMIT\n"}},
		{"inet", "t0", world{native: base("filter", "prerouting", -150, `{"drop": null}`)}},
	} {
		for _, sleeps := range []bool{true, false} {
			read := c.read()
			read.Chains = []rules.BaseChain{{Family: c.family, Table: c.table, Name: "c", Dormant: sleeps}}
			if events, _ := New(read).Arrive([]Packet{arriving()}); (len(events) == 0) != sleeps {
				t.Errorf("%s, dormant: %v: %q", c.table, sleeps, words(events))
			}
		}
	}
}

// TestAlone tells a host on which packets meet natspread's jumps only.
func TestAlone(t *testing.T) {
	for name, c := range map[string]struct {
		world
		want bool
	}{
		"nothing":            {world{}, true},
		"natspread's":        {world{nft: natTable("", ""), legacy: "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"}, true},
		"a rule":             {world{nft: natTable("", "-A PREROUTING -j ACCEPT")}, false},
		"a policy":           {world{legacy: "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"}, false},
		"a chain of nft":     {world{native: base("filter", "forward", 0, `{"drop": null}`)}, false},
		"an empty one of it": {world{native: `{"chain": {"name": "c", "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}}`}, true},
	} {
		if got := c.path().Alone(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestZones tells in which zone packets are, each way.
func TestZones(t *testing.T) {
	for text, want := range map[string][2]int{
		"":                                      {0, 0},
		"-A PREROUTING -j CT --zone 7":          {7, 7},
		"-A PREROUTING -i front -j CT --zone 1": {1, 0},
		"-A PREROUTING -i back -j CT --zone 1":  {0, 1},
		"-A PREROUTING -j CT --zone-orig 3":     {-1, -1},
		"-A PREROUTING -m u32 --u32 0x0=0x0 -j CT --zone 1": {-1, -1},
	} {
		p := world{nft: "*raw\n:PREROUTING ACCEPT [0:0]\n" + text + "\nCOMMIT\n"}.path()
		_, there := p.Arrive([]Packet{arriving()})
		_, back := p.Return([]Packet{answering()})
		if there[0] != want[0] || back[0] != want[1] {
			t.Errorf("%s: %v, %v", text, there, back)
		}
	}
}

// TestPass follows a packet through FORWARD.
func TestPass(t *testing.T) {
	const policy = "dropped: FORWARD of the filter table (nft) 0: the policy of FORWARD"
	perhaps := strings.Replace(policy, "dropped", "dropped perhaps", 1)
	rule := func(words string) string { return "dropped: FORWARD of the filter table (nft) " + words }
	for _, c := range []struct {
		rules string
		want  []string
	}{
		{"", nil},
		{":FORWARD ACCEPT [0:0]", nil},
		{":FORWARD DROP [0:0]", []string{policy}},
		{":FORWARD DROP [0:0]\n-A FORWARD -j ACCEPT", nil},
		{":FORWARD ACCEPT [0:0]\n-A FORWARD -j REJECT --reject-with icmp-port-unreachable", []string{rule("1: -A FORWARD -j REJECT --reject-with icmp-port-unreachable")}},
		{":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A A -p udp -j ACCEPT", []string{policy}},
		{":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A A -j RETURN\n-A A -j ACCEPT", []string{policy}},
		{":FORWARD ACCEPT [0:0]\n:A - [0:0]\n-A FORWARD -g A\n-A FORWARD -j DROP", nil},
		{":FORWARD DROP [0:0]\n-A FORWARD -s 203.0.113.0/24 -j ACCEPT", []string{perhaps}},
		{":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -s 203.0.113.0/24 -j A\n-A A -j ACCEPT", []string{perhaps}},
		{":FORWARD ACCEPT [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A A -s 203.0.113.0/24 -j RETURN\n-A A -j DROP", []string{"dropped perhaps: A of the filter table (nft) 2: -A A -j DROP"}},
		{":FORWARD ACCEPT [0:0]\n:A - [0:0]\n-A FORWARD -s 203.0.113.0/24 -g A\n-A FORWARD -j DROP", []string{"dropped perhaps: FORWARD of the filter table (nft) 2: -A FORWARD -j DROP"}},
		{":FORWARD ACCEPT [0:0]\n-A FORWARD -s 203.0.113.0/24 -j DROP", nil},
		{":FORWARD DROP [0:0]\n-A FORWARD -j NFQUEUE --queue-num 0", []string{"asked perhaps: FORWARD of the filter table (nft) 1: -A FORWARD -j NFQUEUE --queue-num 0", perhaps}},
		{":FORWARD DROP [0:0]\n-A FORWARD -j LOG", []string{policy}},
		{":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A A -j A", []string{policy}},
		{":FORWARD DROP [0:0]\n:NATSPREAD-FORWARD - [0:0]\n-A FORWARD -m conntrack --ctstate DNAT -j NATSPREAD-FORWARD\n-A NATSPREAD-FORWARD -m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 80 -j ACCEPT", nil},
		{":FORWARD DROP [0:0]\n:NATSPREAD-FORWARD - [0:0]\n-A FORWARD -m conntrack --ctstate DNAT -j NATSPREAD-FORWARD\n-A NATSPREAD-FORWARD -m conntrack --ctproto 6 --ctorigdst 192.0.2.11 --ctorigdstport 80 -j ACCEPT", []string{policy}},
	} {
		w := world{nft: "*nat\n:FORWARD DROP [0:0]\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n" + c.rules + "\nCOMMIT\n"}
		if got := words(w.path().Pass([]Packet{forwarded()})); !slices.Equal(got, c.want) {
			t.Errorf("%s\n%q", c.rules, got)
		}
	}
}

// TestHidden finds who translates the source of a client whose address backends are to see.
func TestHidden(t *testing.T) {
	own := "-A POSTROUTING -j NATSPREAD-POST\n"
	const masquerade = "-A POSTROUTING -o back -j MASQUERADE\n"
	behind := []string{"hidden: POSTROUTING of the nat table (nft) 2: " + strings.TrimSpace(masquerade)}
	for _, c := range []struct {
		rules string
		keeps bool
		want  []string
	}{
		{own, true, nil},
		{own + masquerade, false, nil},
		{own + masquerade, true, behind},
		{own + masquerade + "-A NATSPREAD-POST -m conntrack --ctstate DNAT -j ACCEPT\n", true, nil},
		{masquerade + own + "-A NATSPREAD-POST -m conntrack --ctstate DNAT -j ACCEPT\n", true, []string{"hidden: POSTROUTING of the nat table (nft) 1: " + strings.TrimSpace(masquerade)}},
		{own + "-A POSTROUTING -s 203.0.113.0/24 -j MASQUERADE\n", true, []string{"hidden perhaps: POSTROUTING of the nat table (nft) 2: -A POSTROUTING -s 203.0.113.0/24 -j MASQUERADE"}},
	} {
		p := forwarded()
		p.KeepsSource = c.keeps
		got := words(world{nft: natTable(":NATSPREAD-POST - [0:0]\n"+c.rules, "")}.path().Pass([]Packet{p}))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s\n%q", c.rules, got)
		}
	}
}
