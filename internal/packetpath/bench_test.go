package packetpath

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/rules"
)

// BenchmarkThousands follows the packets of 10,000 services through as many rules of others
// for one address or port each, and through some that are for all.
func BenchmarkThousands(b *testing.B) {
	const many = 10_000
	packets := make([]Packet, many)
	var text strings.Builder
	text.WriteString("*mangle\n:PREROUTING ACCEPT [0:0]\n:EACH - [0:0]\n-A PREROUTING -m conntrack --ctstate INVALID -j DROP\n-A PREROUTING -s 203.0.113.0/24 -j DROP\n-A PREROUTING -j EACH\n")
	for i := range packets {
		packets[i] = arriving()
		packets[i].Destination = netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		fmt.Fprintf(&text, "-A EACH -d 10.1.%d.%d/32 -p tcp -m tcp --dport 80 -j DROP\n-A EACH -p tcp -m tcp --dport %d -j DROP\n", i>>8, i&0xff, 1000+i)
	}
	text.WriteString("COMMIT\n")
	ruleset := rules.ParseRuleset(rules.IPv4, rules.NFT, []byte(text.String()))
	for b.Loop() {
		if events, _ := New(Read{Variant: rules.NFT, Hooks: rules.Hooks{Rulesets: []rules.Ruleset{ruleset}}}).Arrive(packets); len(events) != 0 {
			b.Fatal(words(events))
		}
	}
}
