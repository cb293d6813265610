package doctor

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// forwarded is a packet to a backend, as doctor knows it.
func forwarded() packet {
	return packet{
		in: "front", out: "back", protocol: "tcp", destination: netip.MustParseAddr("10.0.0.1"), destinationPort: 80,
		states: []string{"NEW", "DNAT"}, origDst: netip.MustParseAddrPort("192.0.2.10:80"),
		replySrc: netip.MustParseAddrPort("10.0.0.1:80"),
	}
}

// TestMatches tells of each kind of match whether a packet satisfies it.
func TestMatches(t *testing.T) {
	for text, want := range map[string]answer{
		"-j DROP":                                  yes,
		"":                                         yes,
		"-p tcp -j DROP":                           yes,
		"-p udp -j DROP":                           no,
		"! -p udp -j DROP":                         yes,
		"-i front -j DROP":                         yes,
		"-i fro+ -j DROP":                          yes,
		"! -i front -j DROP":                       no,
		"! -o docker0 -j DROP":                     yes,
		"-o docker+ -j DROP":                       no,
		"-d 10.0.0.0/24 -j DROP":                   yes,
		"-d 10.0.0.2/32 -j DROP":                   no,
		"-d 10.0.0.1 -j DROP":                      yes,
		"-d 10.0.0.0/255.0.0.255":                  perhaps,
		"-s 203.0.113.0/24":                        perhaps,
		"! -s 203.0.113.0/24":                      perhaps,
		"-s 10.0.0.0/24 -j DROP":                   no, // no client is in the subnet of the backend
		"-p tcp -m tcp --dport 80 -j DROP":         yes,
		"-p tcp -m tcp --dport 8000:8010 -j DROP":  no,
		"-p tcp -m tcp ! --dport 80 -j DROP":       no,
		"-p tcp -m tcp --sport 80 -j DROP":         no, // a client's is not below 1024
		"-p tcp -m tcp --sport 1024:65535 -j DROP": perhaps,
		"-p tcp -m tcp --dport http -j DROP":       perhaps,
		"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT":    no,
		"-m conntrack --ctstate NEW -j ACCEPT":                    yes,
		"-m conntrack ! --ctstate DNAT -j ACCEPT":                 no,
		"-m state --state NEW -j ACCEPT":                          yes,
		"-m conntrack --ctorigdst 192.0.2.10 --ctorigdstport 80":  yes,
		"-m conntrack --ctorigdst 192.0.2.11 -j ACCEPT":           no,
		"-m conntrack --ctorigdstport 81:90 -j ACCEPT":            no,
		"-m conntrack --ctproto 6 -j ACCEPT":                      yes,
		"-m conntrack --ctproto 17 -j ACCEPT":                     no,
		"-m conntrack --ctreplsrc 10.0.0.1 --ctreplsrcport 80":    yes,
		"-m conntrack --ctreplsrc 10.0.0.2 -j ACCEPT":             no,
		"-m conntrack --ctreplsrcport 81 -j ACCEPT":               no,
		"-m conntrack --ctstatus ASSURED -j ACCEPT":               perhaps,
		`-m comment --comment "-p udp" -j ACCEPT`:                 yes,
		"-m set --match-set banned src -j DROP":                   perhaps,
		"-p udp -m set --match-set banned src -j DROP":            no,
		"-m mark ! --mark 0x1 -j DROP":                            perhaps,
		"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT": perhaps,
		"-m iprange --dst-range 10.0.0.1-10.0.0.9 -p udp":         perhaps,
		"-p tcp -m multiport --dports 443,80 -j ACCEPT":           yes,
		"-p tcp -m multiport --dports 443,70:90 -j ACCEPT":        yes,
		"-p tcp -m multiport --dports 443,8000:8010 -j ACCEPT":    no,
		"-p tcp -m multiport ! --dports 443,80 -j ACCEPT":         no,
		"-p tcp -m multiport --sports 80,443 -j ACCEPT":           no,
		"-p tcp -m multiport --sports 80,1024:65535 -j ACCEPT":    perhaps,
		"-p tcp -m multiport --ports 80 -j ACCEPT":                perhaps,
	} {
		r := ruleOf(rules.SavedRule{Text: text})
		if got := r.matches(forwarded()); got != want {
			t.Errorf("%s: %d, not %d", text, got, want)
		}
	}
}

// TestForward follows a packet through chains.
func TestForward(t *testing.T) {
	for _, c := range []struct {
		rules  string
		want   verdict
		by     string
		unsure bool
	}{
		{"", accepted, "", false},
		{":FORWARD ACCEPT [0:0]", accepted, "the policy of FORWARD", false},
		{":FORWARD DROP [0:0]", dropped, "the policy of FORWARD", false},
		{":FORWARD DROP [0:0]\n-A FORWARD -j ACCEPT", accepted, "-A FORWARD -j ACCEPT", false},
		{":FORWARD ACCEPT [0:0]\n-A FORWARD -j REJECT --reject-with icmp-port-unreachable", dropped, "-A FORWARD -j REJECT --reject-with icmp-port-unreachable", false},
		{":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A A -p udp -j ACCEPT", dropped, "the policy of FORWARD", false},
		{":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A A -j RETURN\n-A A -j ACCEPT", dropped, "the policy of FORWARD", false},
		{":FORWARD ACCEPT [0:0]\n:A - [0:0]\n-A FORWARD -g A\n-A FORWARD -j DROP", accepted, "the policy of FORWARD", false},
		{":FORWARD DROP [0:0]\n-A FORWARD -s 203.0.113.0/24 -j ACCEPT", dropped, "the policy of FORWARD", true},
		{":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -s 203.0.113.0/24 -j A\n-A A -j ACCEPT", dropped, "the policy of FORWARD", true},
		{":FORWARD ACCEPT [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A A -s 203.0.113.0/24 -j RETURN\n-A A -j DROP", dropped, "-A A -j DROP", true},
		{":FORWARD ACCEPT [0:0]\n-A FORWARD -s 203.0.113.0/24 -j DROP", accepted, "the policy of FORWARD", false},
		{":FORWARD DROP [0:0]\n-A FORWARD -j NFQUEUE --queue-num 0", dropped, "the policy of FORWARD", true},
		{":FORWARD DROP [0:0]\n-A FORWARD -j LOG", dropped, "the policy of FORWARD", false},
		{":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A A -j A", dropped, "the policy of FORWARD", false},
	} {
		text := "*nat\n:FORWARD DROP [0:0]\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n" + c.rules + "\nCOMMIT\n"
		w := walk{chains: chainsOf(rules.ParseRuleset(rules.IPv4, "nft", []byte(text)).Tables["filter"]), packet: forwarded()}
		if got := w.forward(); got != c.want || w.by != c.by || w.unsure != c.unsure {
			t.Errorf("%s\n%d by %q, unsure %v", c.rules, got, w.by, w.unsure)
		}
	}
}

// TestNativeChains reads what nft lists, and leaves out what iptables-nft keeps.
func TestNativeChains(t *testing.T) {
	const text = `# Warning: table ip filter is managed by iptables-nft, do not touch!
table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
}
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established accept
	}
	chain other {
		ct status dnat accept
	}
}
table ip own {
	chain fwd {
		type filter hook forward priority filter + 1; policy drop;
		ct status dnat accept comment "balanced"
	}
}
table ip6 own {
	chain fwd {
		type filter hook forward priority filter; policy accept;
	}
}
`
	for family, want := range map[rules.Family][]nativeChain{
		rules.IPv4: {{"inet filter forward", true, false, false}, {"ip own fwd", true, true, true}},
		rules.IPv6: {{"inet filter forward", true, false, false}, {"ip6 own fwd", false, false, false}},
	} {
		got := nativeChains([]byte(text), family)
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%v: %v", family, got)
		}
	}
}

// TestMayLetIn knows rules for connections that are open already, and takes any other one
// that accepts or leads somewhere for one that may let new ones in.
func TestMayLetIn(t *testing.T) {
	for rule, want := range map[string]bool{
		"}": false, "counter packets 0 bytes 0 drop": false, `iifname "eth0" drop`: false, "log prefix \"no\"": false,
		"ct state established accept": false, "ct state established,related accept": false, "ct state { established, related } accept": false,
		"ct state vmap { invalid : drop, established : accept, related : accept }": false, "ct state established,related counter packets 7 bytes 9 accept": false,
		"accept": true, "ct state new accept": true, "ct state established,new accept": true, "ct state vmap { established : accept, new : jump in }": true,
		"ct state vmap @states": true, `iifname "front" accept`: true, "jump own": true, "goto own": true, "queue to 3": true, "tcp dport vmap @ports": true,
	} {
		if mayLetIn(strings.Fields(rule)) != want {
			t.Errorf("%s: %v", rule, !want)
		}
	}
}

// TestOrder prints the worst first, and those of one severity always in one order.
func TestOrder(t *testing.T) {
	h := host(t, []txtar.File{{Name: "proc/net/ipv4/ip_forward", Data: []byte("0\n")}, {Name: "usr/lib/systemd/systemd"}})
	b := Balancer{
		Services: []config.Service{webService()}, Variant: "nft", Unread: errors.New("no rights"), Applied: 3,
		Rulesets: []rules.Ruleset{rules.ParseRuleset(rules.IPv4, "nft", []byte("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"))},
	}
	write(t, filepath.Join(h.Root, "state"), "")
	if err := os.Chmod(filepath.Join(h.Root, "state"), 0o666); err != nil {
		t.Fatal(err)
	}
	first := reported(findAll(h, b, "state"))
	var severities []string
	for line := range strings.Lines(first) {
		if severity, _, found := strings.Cut(line, ": "); found && line[0] != ' ' {
			severities = append(severities, severity)
		}
	}
	rank := []string{string(Broken), string(AtBoot), string(Risk)}
	if !slices.IsSortedFunc(severities, func(a, b string) int { return slices.Index(rank, a) - slices.Index(rank, b) }) ||
		len(slices.Compact(severities)) != len(rank) {
		t.Errorf("%s", first)
	}
	if again := reported(findAll(h, b, "state")); again != first {
		t.Errorf("%s\nand then\n%s", first, again)
	}
	if !strings.Contains(first, "risk: cannot tell what FORWARD drops: no rights\n") {
		t.Errorf("%s", first)
	}
}
