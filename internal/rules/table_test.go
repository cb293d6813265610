package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sampleBackend returns a listen address and a backend.
func sampleBackend(family Family) (listen, backend netip.Addr) {
	if family == IPv6 {
		return netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("2001:db8:1::1")
	}
	return netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("10.0.0.1")
}

// sample returns a table of a family with one service of two backends.
func sample(family Family) Table {
	listen, backend := sampleBackend(family)
	claim := Rule{
		Destination: netip.PrefixFrom(listen, listen.BitLen()), Protocol: "tcp", DestinationPorts: Ports{80, 80},
		Target: Target{Chain: ServiceChain("web")},
	}
	return Table{Family: family, Chains: []Chain{
		{Name: ServiceOut, Rules: []Rule{claim}},
		{Name: ServicePost, Rules: []Rule{{Protocol: "tcp", Translated: true, OriginalDestination: netip.PrefixFrom(listen, listen.BitLen()), OriginalPorts: Ports{80, 80}, Target: Target{Kind: Masquerade}}}},
		{Name: ServicePre, Rules: []Rule{claim}},
		{Name: ServiceChain("web"), Rules: []Rule{
			{Protocol: "tcp", Statistic: Statistic{Steps: ProbabilityScale / 2}, Target: Target{Kind: DNAT, Address: backend, Port: 80}},
			{Protocol: "tcp", Target: Target{Kind: DNAT, Address: backend.Next(), Port: 80}},
		}},
	}}
}

// sampleSlots returns a table in which a client's slot picks the backend.
func sampleSlots(family Family) Table {
	table := sample(family)
	_, first := sampleBackend(family)
	leaf, last := PickChain("web", 19, 0), PickChain("web", 25, 7)
	table.Chains = append(table.Chains[:3],
		Chain{Name: ServiceChain("web"), Rules: []Rule{
			{Target: Target{Kind: Hash, Prefix: uint8(first.BitLen()), Slots: 32}},
			{Mark: Mark{Value: 0x10, Mask: 0x10}, Target: Target{Kind: Goto, Chain: leaf}},
			{Target: Target{Kind: Goto, Chain: last}},
		}},
		Chain{Name: leaf, Rules: []Rule{
			{Protocol: "tcp", Midstream: true, Mark: Mark{Mask: 0xf}, Target: Target{Kind: Goto, Chain: last}},
			{Mark: Mark{Mask: 0xf}, Target: Target{Kind: Goto, Chain: last}},
		}},
		Chain{Name: last, Rules: []Rule{{Target: Target{Kind: RestoreMark}}, {Protocol: "tcp", Target: Target{Kind: DNAT, Address: first, Port: 80}}}},
	)
	return table
}

// sampleFilter returns the part of the filter table for a service on an address and one
// on "*".
func sampleFilter(family Family) Table {
	listen, backend := netip.MustParsePrefix("192.0.2.10/32"), netip.MustParsePrefix("10.0.0.1/32")
	if family == IPv6 {
		listen, backend = netip.MustParsePrefix("2001:db8::10/128"), netip.MustParsePrefix("2001:db8:1::1/128")
	}
	return Table{Family: family, Name: Filter, Chains: []Chain{{Name: ServiceForward, Rules: []Rule{
		{ConnectionProtocol: "tcp", OriginalDestination: listen, OriginalPorts: Ports{80, 80}, Target: Target{Kind: Accept}},
		{ConnectionProtocol: "udp", ReplySource: backend, OriginalPorts: Ports{53, 54}, ReplyPorts: Ports{53, 53}, Target: Target{Kind: Accept}},
	}}, {Name: ServiceRelated, Rules: []Rule{
		{Translated: true, ReplySource: backend, Expected: true, Target: Target{Kind: Accept}},
	}}, {Name: ServiceTakeover, Rules: []Rule{
		{ConnectionProtocol: "tcp", OriginalSource: backend, OriginalSourcePorts: Ports{80, 80}, Target: Target{Kind: Accept}},
	}}}}
}

// TestFilterText shows that part: no policy, and no rule of ours for what was not
// translated, but for what a backend begins in place of a client.
func TestFilterText(t *testing.T) {
	const want = `*filter
:NATSPREAD-FORWARD - [0:0]
:NATSPREAD-RELATED - [0:0]
:NATSPREAD-TAKEOVER - [0:0]
-A FORWARD -m conntrack --ctstate DNAT -j NATSPREAD-FORWARD
-A FORWARD -m conntrack --ctstatus EXPECTED -j NATSPREAD-RELATED
-A FORWARD -m conntrack --ctstate NEW,SNAT -j NATSPREAD-TAKEOVER
-A NATSPREAD-FORWARD -m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 80 -j ACCEPT
-A NATSPREAD-FORWARD -m conntrack --ctproto 17 --ctreplsrc 10.0.0.1 --ctorigdstport 53:54 --ctreplsrcport 53 -j ACCEPT
-A NATSPREAD-RELATED -m conntrack --ctstate DNAT --ctreplsrc 10.0.0.1 --ctstatus EXPECTED -j ACCEPT
-A NATSPREAD-TAKEOVER -m conntrack --ctproto 6 --ctorigsrc 10.0.0.1 --ctorigsrcport 80 -j ACCEPT
COMMIT
`
	if diff := cmp.Diff(want, string(sampleFilter(IPv4).Text())); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// sampleMangle returns the part of the mangle table for a service on an address and one on "*".
func sampleMangle(family Family) Table {
	listen, backend := netip.MustParsePrefix("192.0.2.10/32"), netip.MustParsePrefix("10.0.0.1/32")
	if family == IPv6 {
		listen, backend = netip.MustParsePrefix("2001:db8::10/128"), netip.MustParsePrefix("2001:db8:1::1/128")
	}
	return Table{Family: family, Name: Mangle, Chains: []Chain{{Name: ServiceMSS, Rules: []Rule{
		{Protocol: "tcp", Handshake: true, ConnectionProtocol: "tcp", OriginalDestination: listen, OriginalPorts: Ports{80, 80}, Target: Target{Kind: ClampMSS}},
		{Protocol: "tcp", Handshake: true, ConnectionProtocol: "tcp", ReplySource: backend, OriginalPorts: Ports{53, 54}, ReplyPorts: Ports{53, 53}, Target: Target{Kind: ClampMSS, Segment: 1260}},
	}}}}
}

// TestMangleText shows that part: both packets of a handshake meet it, and nothing that was not
// translated.
func TestMangleText(t *testing.T) {
	const want = `*mangle
:NATSPREAD-MSS - [0:0]
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctstate DNAT -j NATSPREAD-MSS
-A NATSPREAD-MSS -p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 80 -j TCPMSS --clamp-mss-to-pmtu
-A NATSPREAD-MSS -p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctproto 6 --ctreplsrc 10.0.0.1 --ctorigdstport 53:54 --ctreplsrcport 53 -j TCPMSS --set-mss 1260
COMMIT
`
	if diff := cmp.Diff(want, string(sampleMangle(IPv4).Text())); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestOrder loads what makes segments shorter before the rules that it is for, and takes it out
// behind them; with accepts it is the other way round.
func TestOrder(t *testing.T) {
	all := Tables{IPv4: sample(IPv4), FilterIPv4: sampleFilter(IPv4), MangleIPv4: sampleMangle(IPv4)}
	if diff := cmp.Diff([]int{3, 4, 0, 1, 2, 5}, all.Order()); diff != "" {
		t.Errorf("loading: want -, got +:\n%s", diff)
	}
	if diff := cmp.Diff([]int{2, 3, 0, 1, 4, 5}, NoTables().Order()); diff != "" {
		t.Errorf("taking out: want -, got +:\n%s", diff)
	}
}

// emptyText is the table of a kernel that holds nothing.
const emptyText = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
`

// TestText reads a table back from its text, and an empty one, which has no jumps.
func TestText(t *testing.T) {
	for _, family := range Families() {
		for _, table := range []Table{sample(family), sampleSlots(family)} {
			parsed, err := Parse(family, NAT, table.Text())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(table, parsed, sameAddress); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		}
	}
	for _, table := range []Table{sampleFilter(IPv4), sampleMangle(IPv6)} {
		if parsed, err := Parse(table.Family, table.Name, table.Text()); err != nil || !parsed.Chains[0].Equal(table.Chains[0]) {
			t.Errorf("got %+v, %v", parsed, err)
		}
	}
	if got := string(Table{}.Text()); got != emptyText {
		t.Errorf("the empty table is %s", got)
	}
	if table, err := Parse(IPv6, NAT, []byte(emptyText)); err != nil || !table.Empty() || table.Family != IPv6 {
		t.Errorf("got %+v, %v", table, err)
	}
}

// TestParseRefuses changes one thing in a good text.
func TestParseRefuses(t *testing.T) {
	text := string(sample(IPv4).Text())
	for name, change := range map[string][2]string{
		"a policy":              {":INPUT ACCEPT", ":INPUT DROP"},
		"an own chain's policy": {":NATSPREAD-web -", ":NATSPREAD-web ACCEPT"},
		"counters":              {":INPUT ACCEPT [0:0]", ":INPUT ACCEPT [1:60]"},
		"a rule's counters":     {"-A NATSPREAD-PRE", "[0:0] -A NATSPREAD-PRE"},
		"a comment line":        {"*nat\n", "# a comment\n*nat\n"},
		"a comment at the end":  {"COMMIT\n", "COMMIT\n# a comment\n"},
		"an empty line":         {"COMMIT\n", "\nCOMMIT\n"},
		"no last newline":       {"COMMIT\n", "COMMIT"},
		"another line end":      {"COMMIT\n", "COMMIT\r\n"},
		"another table":         {"COMMIT\n", "COMMIT\n*filter\nCOMMIT\n"},
		"two nat tables":        {"COMMIT\n", "COMMIT\n" + emptyText},
		"a built-in chain less": {":INPUT ACCEPT [0:0]\n", ""},
		"chains out of order":   {":NATSPREAD-OUT - [0:0]\n:NATSPREAD-POST - [0:0]\n", ":NATSPREAD-POST - [0:0]\n:NATSPREAD-OUT - [0:0]\n"},
		"a foreign chain":       {":NATSPREAD-OUT", ":DOCKER - [0:0]\n:NATSPREAD-OUT"},
		"a foreign rule":        {"-A PREROUTING", "-A PREROUTING -j ACCEPT\n-A PREROUTING"},
		"a jump less":           {"-A OUTPUT -j NATSPREAD-OUT\n", ""},
		"a jump twice":          {"-A OUTPUT", "-A OUTPUT -j NATSPREAD-OUT\n-A OUTPUT"},
		"a jump from elsewhere": {"-A OUTPUT", "-A INPUT"},
		"one jump with words":   {"-A OUTPUT -j", "-A OUTPUT -m comment --comment natspread -j"},
		"a jump to elsewhere":   {"OUTPUT -j NATSPREAD-OUT", "OUTPUT -j NATSPREAD-PRE"},
		"an insertion":          {"-A NATSPREAD-OUT", "-I NATSPREAD-OUT"},
		"a deletion":            {"COMMIT\n", "-X NATSPREAD-web\nCOMMIT\n"},
		"an unknown target":     {"-j MASQUERADE", "-j DROP"},
		"an accept of FORWARD":  {"-p tcp -m conntrack --ctstate DNAT --ctorigdst 192.0.2.10 --ctorigdstport 80 -j MASQUERADE", "-m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 80 -j ACCEPT"},
		"a chain with a quote":  {":NATSPREAD-web", ":NATSPREAD-w\"b - [0:0]\n:NATSPREAD-web"},
		"a chain with a tab":    {":NATSPREAD-web", ":NATSPREAD-\t - [0:0]\n:NATSPREAD-web"},
		"too long a chain":      {":NATSPREAD-web", ":NATSPREAD-aaaaaaaaaaaaaaaaaaa - [0:0]\n:NATSPREAD-web"},
		"no COMMIT":             {"COMMIT\n", ""},
	} {
		changed := strings.Replace(text, change[0], change[1], 1)
		if changed == text {
			t.Fatalf("%s: nothing to change", name)
		}
		if table, err := Parse(IPv4, NAT, []byte(changed)); err == nil {
			t.Errorf("%s: taken as\n%s", name, table.Text())
		}
	}
}

// TestParseNamesTheLine finds the line that differs in form alone.
func TestParseNamesTheLine(t *testing.T) {
	text := strings.Replace(string(sample(IPv4).Text()), ":INPUT ACCEPT", ":INPUT DROP", 1)
	if _, err := Parse(IPv4, NAT, []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "line 3 ") {
		t.Errorf("the error is %v", err)
	}
}

// TestOwnNames tells own chains from those that only look like it.
func TestOwnNames(t *testing.T) {
	for name, want := range map[string]bool{
		"NATSPREAD": true, "NATSPREAD-PRE": true, "NATSPREAD-web": true, "NATSPREAD-": true, "NATSPREAD-D0a000000-08": true,
		"NATSPREADER": false, "natspread-web": false, "MY-NATSPREAD": false, "": false, "PREROUTING": false, "NATSPREAD_x": false,
	} {
		if IsOwn(name) != want {
			t.Errorf("IsOwn(%q) is %v", name, !want)
		}
	}
	for _, builtIn := range NAT.BuiltIn() {
		for _, entry := range NAT.EntryChains(builtIn) {
			if IsOwn(builtIn) || !IsOwn(entry) {
				t.Errorf("%s leads to %q", builtIn, entry)
			}
		}
	}
	if longest := ServiceChain(strings.Repeat("a", 15)); len(longest) > MaxChain || !ownChain(longest) {
		t.Errorf("the kernel takes no chain %s", longest)
	}
}

// TestShortNames holds what chains are called by: what fits as it is, and longer names by letters that
// are the same for ever, as rules that are loaded have them.
func TestShortNames(t *testing.T) {
	for name, want := range map[string]string{
		"web": "web", "a_name-of-15-let": "a_na.xvikofkezj", "minecraft-bedrock": "mine.bydqyjlic5", "minecraft-bedrocl": "mine.rohurzpb67", strings.Repeat("a", 32): "aaaa.hor7l5b3sj",
	} {
		if got := ShortName(name); got != want || !ownChain(PickChain(name, 25, 1295)) || ServiceOf(PickChain(name, 25, 1295)) != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// TestPickChains names the chains of a service's tree, and the service by a chain.
func TestPickChains(t *testing.T) {
	longest := strings.Repeat("a", 15)
	if name := PickChain(longest, 14, 1295); name != "NATSPREAD-"+longest+"Ozz" || !ownChain(name) {
		t.Errorf("the last chain is %s", name)
	}
	for chain, want := range map[string]string{
		"NATSPREAD-web": "web", PickChain("web", 0, 0): "web", PickChain("web-2", 4, 37): "web-2", PickChain(longest, 14, 1295): longest,
		ServicePre: "", ServiceOut: "", ServicePost: "", "NATSPREAD": "", "NATSPREAD-D0a000000-08": "", "DOCKER": "", "PREROUTING": "",
	} {
		if got := ServiceOf(chain); got != want {
			t.Errorf("%s picks for %q, want %q", chain, got, want)
		}
	}
}

// TestChain finds chains by name, in a table that Sort put in order.
func TestChain(t *testing.T) {
	table := sample(IPv4)
	table.Chains[0], table.Chains[3] = table.Chains[3], table.Chains[0]
	table.Sort()
	for _, want := range sample(IPv4).Chains {
		if got, found := table.Chain(want.Name); !found || !got.Equal(want) {
			t.Errorf("%s: %v, %v", want.Name, got, found)
		}
	}
	for _, name := range []string{"", "NATSPREAD", "NATSPREAD-PRF", "PREROUTING"} {
		if got, found := table.Chain(name); found {
			t.Errorf("%s: found %v", name, got)
		}
	}
	other := sample(IPv4).Chains[3]
	if other.Equal(Chain{Name: "NATSPREAD-x", Rules: other.Rules}) || other.Equal(Chain{Name: other.Name, Rules: other.Rules[:1]}) {
		t.Error("chains that differ are equal")
	}
}

// TestAddressForms writes addresses as inet_ntop(3) does.
func TestAddressForms(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.10": "192.0.2.10", "2001:db8::1": "2001:db8::1", "2001:0:0:1::1": "2001:0:0:1::1", "::1": "::1", "::ffff": "::ffff",
		"::1:0": "::0.1.0.0", "::1.2.3.4": "::1.2.3.4", "::100:0": "::1.0.0.0", "::1:2:3": "::1:2:3", "::ffff:1.2.3.4": "::ffff:1.2.3.4",
		"::": "::", "1::": "1::", "1:0:2::": "1:0:2::", "1:2:3:4:5:6:0:8": "1:2:3:4:5:6:0:8",
	} {
		if got := string(appendAddress(nil, netip.MustParseAddr(text))); got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
	}
}

// TestFamilies names the families.
func TestFamilies(t *testing.T) {
	if got := fmt.Sprint(Families()); got != "[ipv4 ipv6]" {
		t.Errorf("the families are %s", got)
	}
	if FamilyOf(netip.MustParseAddr("10.0.0.1")) != IPv4 || FamilyOf(netip.MustParseAddr("::1")) != IPv6 {
		t.Error("an address is of the other family")
	}
}

// TestCommentedJumps reads a table of natspread 0.1, whose jumps carry a comment, and
// gives its bytes back; a table whose jumps have it in part is none.
func TestCommentedJumps(t *testing.T) {
	for _, table := range []Table{sample(IPv4), sample(IPv6), sampleFilter(IPv4)} {
		plain := string(table.Text())
		table.CommentedJumps = true
		text := string(table.Text())
		if strings.Count(text, " -m comment --comment natspread -j ") != len(table.allJumps()) || strings.ReplaceAll(text, "-m comment --comment natspread ", "") != plain {
			t.Errorf("%s is\n%s", table, text)
		}
		parsed, err := Parse(table.Family, table.Name, []byte(text))
		if err != nil || !parsed.CommentedJumps || string(parsed.Text()) != text {
			t.Errorf("%s comes back as\n%s\n%v", table, parsed.Text(), err)
		}
		if parsed, err := Parse(table.Family, table.Name, []byte(plain)); err != nil || parsed.CommentedJumps {
			t.Errorf("%s without comments: %v, %v", table, parsed.CommentedJumps, err)
		}
	}
}

// allJumps returns the jumps of all built-in chains.
func (t Table) allJumps() (jumps []Rule) {
	for _, builtIn := range t.Name.BuiltIn() {
		jumps = append(jumps, t.Jumps(builtIn)...)
	}
	return jumps
}
