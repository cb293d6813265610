package doctor

import (
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// bySource makes a client of the service keep its backend.
func bySource(_ *testing.T, p *patient) {
	service := &p.Balancer.Services[0]
	service.Algorithm, service.Slots, service.SourcePrefix = config.Source, 256, service.Backends[0].Addr.BitLen()
}

// markFaults route by marks that a service with slots overwrites, or gives back too early.
func markFaults() []fault {
	const specific = "ip rule add pref 50 lookup main suppress_prefixlength 0\n"
	return []fault{
		{
			name: "marks unsaved", variants: true, change: bySource,
			lines:    specific + "ip rule add pref 100 fwmark 0x7 lookup 100; IPTABLES -t mangle -A PREROUTING -i front -j MARK --set-mark 0x7",
			severity: Risk, want: "^ipv4: ip rule 100 routes by the mark 0x7, which mangle -A PREROUTING -i front -j MARK --set-xmark 0x7/0xffffffff sets, and nobody saves with its connection: the first packet of each connection to web loses it$",
			fix: "iptables-(nft|legacy) -t mangle -A PREROUTING -m mark ! --mark 0 -j CONNMARK --save-mark",
		},
		{
			name: "marks of the host unsaved", change: bySource,
			lines:    specific + "ip rule add pref 100 fwmark 0x7/0xff lookup 100; IPTABLES -t mangle -A OUTPUT -j MARK --set-mark 0x7",
			severity: Risk, want: "which mangle -A OUTPUT -j MARK --set-xmark 0x7/0xffffffff sets,", fix: "iptables-(nft|legacy) -t mangle -A OUTPUT -m mark ! --mark 0 -j CONNMARK --save-mark",
		},
		{
			name: "routed by marks", change: bySource, lines: "ip rule add pref 100 fwmark 0x7 lookup 100",
			severity: Risk, want: "^ipv4: ip rule 100 routes by the mark 0x7, also the first packet of a connection to web that has it: away from its backend", fix: "ip rule add pref 99 lookup main suppress_prefixlength 0",
		},
	}
}

// TestMarksOfOthers asks nobody where no service has slots, and knows marks that are saved.
func TestMarksOfOthers(t *testing.T) {
	none := examination{Balancer: Balancer{Services: []config.Service{webService()}}}
	if found := none.marks(); len(found) != 0 {
		t.Errorf("without slots: %v", found)
	}
	saved := rules.ParseRuleset(rules.IPv4, rules.NFT, []byte("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-xmark 0x7/0xffffffff\n-A PREROUTING -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff\nCOMMIT\n"))
	if marks, _, saves := marking(saved); marks == "" || !saves {
		t.Errorf("%q, saved: %v", marks, saves)
	}
}
