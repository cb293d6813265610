package packetpath

import (
	"encoding/json"
	"net/netip"
	"testing"

	"natspread/internal/rules"
)

// forwarded is a packet to a backend, as doctor knows it.
func forwarded() Packet {
	return Packet{
		In: "front", Out: "back", Protocol: "tcp", Destination: netip.MustParseAddr("10.0.0.1"), DestinationPort: 80,
		States: []string{"NEW", "DNAT"}, OrigDst: netip.MustParseAddrPort("192.0.2.10:80"),
		ReplySrc: netip.MustParseAddrPort("10.0.0.1:80"),
	}
}

// TestMatches tells of each kind of match whether a packet satisfies it.
func TestMatches(t *testing.T) {
	for text, want := range map[string]answer{
		"-j DROP":                                  yes,
		"":                                         yes,
		"-p tcp -j DROP":                           yes,
		"-p 6 -j DROP":                             yes,
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
		"-s 203.0.113.0/24":                        some,
		"! -s 203.0.113.0/24":                      some,
		"-s 0.0.0.0/0":                             yes,
		"-s 10.0.0.0/24 -j DROP":                   no, // no client is in the subnet of the backend
		"-p tcp -m tcp --dport 80 -j DROP":         yes,
		"-p tcp -m tcp --dport 8000:8010 -j DROP":  no,
		"-p tcp -m tcp ! --dport 80 -j DROP":       no,
		"-p tcp -m tcp --sport 80 -j DROP":         no, // a client's is not below 1024
		"-p tcp -m tcp --sport 1024:65535 -j DROP": some,
		"-p tcp -m tcp --dport http -j DROP":       perhaps,
		"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT":     no,
		"-m conntrack --ctstate NEW -j ACCEPT":                     yes,
		"-m conntrack ! --ctstate DNAT -j ACCEPT":                  no,
		"-m conntrack --ctstate INVALID -j DROP":                   no,
		"-m state --state NEW -j ACCEPT":                           yes,
		"-m conntrack --ctorigdst 192.0.2.10 --ctorigdstport 80":   yes,
		"-m conntrack --ctorigdst 192.0.2.11 -j ACCEPT":            no,
		"-m conntrack --ctorigdstport 81:90 -j ACCEPT":             no,
		"-m conntrack --ctproto 6 -j ACCEPT":                       yes,
		"-m conntrack --ctproto 17 -j ACCEPT":                      no,
		"-m conntrack --ctreplsrc 10.0.0.1 --ctreplsrcport 80":     yes,
		"-m conntrack --ctreplsrc 10.0.0.2 -j ACCEPT":              no,
		"-m conntrack --ctreplsrcport 81 -j ACCEPT":                no,
		"-m conntrack --ctdir ORIGINAL -j ACCEPT":                  yes,
		"-m conntrack --ctorigsrc 10.0.0.1 -j ACCEPT":              no, // the client began it
		"-m conntrack --ctorigsrc 203.0.113.9 -j DROP":             some,
		"-m conntrack --ctorigsrcport 80 -j ACCEPT":                no,
		"-m conntrack --ctstatus ASSURED -j ACCEPT":                perhaps,
		"-m conntrack --ctstatus EXPECTED -j ACCEPT":               no,
		`-m comment --comment "-p udp" -j ACCEPT`:                  yes,
		"-m set --match-set banned src -j DROP":                    some,
		"-m set --match-set services dst,dst -j DROP":              perhaps,
		"-p udp -m set --match-set banned src -j DROP":             no,
		"-m mark ! --mark 0x1 -j DROP":                             some,
		"-m limit --limit 5/min -j DROP":                           some,
		"-m u32 --u32 0x0=0x0 -j DROP":                             perhaps,
		"-m u32 --u32 0x0=0x0 -p udp -j DROP":                      perhaps, // iptables prints -p first
		"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT":  yes,
		"-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP":  no,
		"-p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP":        no,
		"-m iprange --dst-range 10.0.0.1-10.0.0.9 -p udp":          no,
		"-m iprange --dst-range 10.0.0.1-10.0.0.9 -j DROP":         yes,
		"-m iprange ! --src-range 10.0.0.1-10.0.0.9 -j DROP":       yes,
		"-m addrtype --dst-type LOCAL -j DROP":                     no,
		"-m addrtype ! --dst-type LOCAL -j DROP":                   yes,
		"-m addrtype --dst-type UNICAST,LOCAL -j DROP":             yes,
		"-m addrtype --dst-type BROADCAST -j DROP":                 no,
		"-m pkttype --pkt-type broadcast -j DROP":                  no,
		"-p tcp -m multiport --dports 443,80 -j ACCEPT":            yes,
		"-p tcp -m multiport --dports 443,70:90 -j ACCEPT":         yes,
		"-p tcp -m multiport --dports 443,8000:8010 -j ACCEPT":     no,
		"-p tcp -m multiport ! --dports 443,80 -j ACCEPT":          no,
		"-p tcp -m multiport --sports 80,443 -j ACCEPT":            no,
		"-p tcp -m multiport --sports 80,1024:65535 -j ACCEPT":     some,
		"-p tcp -m multiport --ports 80 -j ACCEPT":                 perhaps,
		"-m rpfilter --validmark --invert -j DROP":                 some,
		"-m statistic --mode random --probability 0.5 -j DROP":     some,
		"-p tcp -m tcp --dport 80 -m comment --comment -j -j DROP": yes,
	} {
		p := forwarded()
		r := ruleOf(rules.SavedRule{Text: text}, nil)
		if got := r.conditions.all(&p); got != want {
			t.Errorf("%s: %d, not %d", text, got, want)
		}
	}
}

// TestTakenOver has the packets of a connection that another balancer had: each is in the middle
// of one, from the side that says it.
func TestTakenOver(t *testing.T) {
	const noSYN = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP"
	begun, answered := forwarded().Begun()
	resumed, middle := forwarded().Resumed()
	for text, want := range map[string][3]answer{
		noSYN: {yes, no, yes},
		"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT":               {no, no, no},
		"-i front -o back -j DROP":                                              {no, yes, yes},
		"-s 10.0.0.1/32 -p tcp -m tcp --sport 80 -j DROP":                       {yes, no, no},
		"-d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j DROP":                       {no, yes, yes},
		"-m conntrack --ctstate DNAT -j DROP":                                   {no, no, yes},
		"-m conntrack --ctstate SNAT -j DROP":                                   {no, yes, no},
		"-m conntrack --ctproto 6 --ctorigsrc 10.0.0.1 --ctorigsrcport 80 -j A": {yes, yes, no},
	} {
		r := ruleOf(rules.SavedRule{Text: text}, nil)
		for i, p := range []Packet{begun, answered, resumed} {
			if got := r.conditions.all(&p); got != want[i] {
				t.Errorf("%s, packet %d: %d, not %d", text, i, got, want[i])
			}
		}
	}
	flow := forwarded()
	flow.Protocol = "udp"
	if _, in := flow.Resumed(); in || !middle {
		t.Errorf("in the middle of a connection: udp %v, tcp %v", in, middle)
	}
}

// TestNativeMatches tells of each kind of expression of nftables whether a packet satisfies it.
func TestNativeMatches(t *testing.T) {
	for text, want := range map[string]answer{
		`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "10.0.0.1"}}`:                                                                                                yes,
		`{"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "10.0.0.1"}}`:                                                                                                no,
		`{"match": {"op": "!=", "left": {"payload": {"protocol": "ip6", "field": "daddr"}}, "right": "::1"}}`:                                                                                                    no, // of the other family
		`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}}`:                                                                yes,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": {"set": [{"prefix": {"addr": "192.0.2.0", "len": 24}}, {"range": ["10.0.0.0", "10.0.0.9"]}]}}}`:              yes,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": {"set": ["10.0.0.2", "10.0.0.3"]}}}`:                                                                         no,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@banned"}}`:                                                                                                 some,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}`:                                                                                                       yes,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 80}}`:                                                                                                       no,
		`{"match": {"op": "!=", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 81}}`:                                                                                                       no,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": {"set": [53, {"range": [70, 90]}]}}}`:                                                                        yes,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": "@open"}}`:                                                                                                  yes,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": "@none"}}`:                                                                                                  no,
		`{"match": {"op": "<", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}`:                                                                                                        no,
		`{"match": {"op": ">=", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}`:                                                                                                       yes,
		`{"match": {"op": "==", "left": {"concat": [{"payload": {"protocol": "ip", "field": "daddr"}}, {"payload": {"protocol": "tcp", "field": "dport"}}]}, "right": {"set": [{"concat": ["10.0.0.1", 80]}]}}}`: yes,
		`{"match": {"op": "==", "left": {"concat": [{"payload": {"protocol": "ip", "field": "daddr"}}, {"payload": {"protocol": "tcp", "field": "dport"}}]}, "right": {"set": [{"concat": ["10.0.0.1", 81]}]}}}`: no,
		`{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "fro*"}}`:                                                                                                                         yes,
		`{"match": {"op": "!=", "left": {"meta": {"key": "oifname"}}, "right": {"set": ["back", "lo"]}}}`:                                                                                                        no,
		`{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["tcp", "udp"]}}}`:                                                                                                        yes,
		`{"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv6"}}`:                                                                                                                         no,
		`{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}`:                                                                                                                                 some,
		`{"match": {"op": "==", "left": {"socket": {"key": "transparent"}}, "right": 1}}`:                                                                                                                        perhaps,
		`{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}`:                                                                                                         no,
		`{"match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": {"set": ["established", "new"]}}}`:                                                                                                    yes,
		`{"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}}`:                                                                                                                            yes,
		`{"match": {"op": "==", "left": {"ct": {"key": "ip daddr", "dir": "original"}}, "right": "192.0.2.10"}}`:                                                                                                 yes,
		`{"match": {"op": "==", "left": {"ct": {"key": "proto-dst", "dir": "original"}}, "right": 81}}`:                                                                                                          no,
		`{"match": {"op": "==", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "local"}}`:                                                                                                     no,
		`{"match": {"op": "==", "left": {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "right": false}}`:                                                                                                 some,
		`{"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]}, "right": "syn"}}`:                                                             yes,
		`{"match": {"op": "!=", "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]}, "right": "syn"}}`:                                                             no,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [{"elem": {"val": 80, "comment": "web"}}]}}}`:                                                       yes,
		`{"limit": {"rate": 3, "burst": 5, "per": "second"}}`:                                                                                                                                                    some,
		`{"dnat": {"family": "ip", "addr": {"map": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": [[80, "10.0.0.9"]]}}}}}`:                                                          yes,
		`{"dnat": {"family": "ip", "addr": {"map": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": "@to"}}}}`:                                                                                no,
		`{"dnat": {"family": "ip6", "addr": "fd00::1"}}`:                                                                                                                                                         no,
		`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"set": []}}}`:                                                                                               no,
	} {
		r := nftReader{sets: map[string][]json.RawMessage{
			"@banned": {[]byte(`"203.0.113.9"`)}, "@open": {[]byte("80"), []byte("443")}, "@to": {[]byte(`[81, "10.0.0.9"]`)},
		}}
		var one statement
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		p := forwarded()
		read := r.rules([]statement{one})
		if got := read[0].conditions.all(&p); got != want {
			t.Errorf("%s: %d, not %d", text, got, want)
		}
	}
}
