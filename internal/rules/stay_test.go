package rules

import (
	"net/netip"
	"testing"
)

// TestStays reads the rules by which what was asked of one address stays there, and no wider ones.
func TestStays(t *testing.T) {
	ten, six := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")
	for text, want := range map[string]netip.Addr{
		"-d 192.0.2.10/32 -p tcp -j ACCEPT": ten,
		"-d 192.0.2.10/32 -p tcp -m statistic --mode random --probability 0.50000000000 -j ACCEPT":   ten,
		"-d 192.0.2.10/32 -p udp -m statistic --mode nth --every 3 --packet 0 -j ACCEPT":             ten,
		"-d 192.0.2.10/32 -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT":                 ten,
		"-d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j ACCEPT":                                        ten,
		"-d 2001:db8::10/128 -p sctp -j ACCEPT":                                                      six,
		"-p tcp -j ACCEPT":                                                                           {},
		"-d 192.0.2.0/24 -p tcp -j ACCEPT":                                                           {},
		"-d 192.0.2.10/32 -j ACCEPT":                                                                 {},
		"-p tcp -m statistic --mode random --probability 0.50000000000 -j ACCEPT":                    {},
		"-d 192.0.2.10/32 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 80 -j ACCEPT":           {},
		"-p tcp -m conntrack --ctstate DNAT --ctorigdst 192.0.2.10 --ctorigdstport 80 -j ACCEPT":     {},
		"-m conntrack --ctproto 6 --ctreplsrc 10.0.0.1 --ctreplsrcport 80 -j ACCEPT":                 {},
		"-d 192.0.2.10/32 -p tcp -m addrtype --dst-type LOCAL -j DNAT --to-destination 192.0.2.10:0": {},
	} {
		rule, err := ParseRule(text)
		lead := rule.Leads()
		if stays := err == nil && lead.Kind == DNAT && lead.Address == want && rule.Target.Kind == Accept; stays != want.IsValid() {
			t.Errorf("%s: %v, leads to %+v, want %v", text, err, lead, want)
		}
		family := FamilyOf(ten)
		if want.IsValid() {
			family = FamilyOf(want)
			if !rule.belongs(NAT) || rule.belongs(Filter) || rule.belongs(Mangle) {
				t.Errorf("%s is in nat: %v, filter: %v, mangle: %v", text, rule.belongs(NAT), rule.belongs(Filter), rule.belongs(Mangle))
			}
		}
		count, counts := CountOf(family, "NATSPREAD-web", text, 7)
		if counts != want.IsValid() || counts && (count.Target != Target{Kind: DNAT, Address: want} || count.Packets != 7) {
			t.Errorf("%s counts %v: %+v", text, counts, count)
		}
	}
}

// TestCanStay tells who may stay: whom a rule before the accept takes all of may not.
func TestCanStay(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.10")
	accept := Rule{Destination: netip.PrefixFrom(vip, 32), Protocol: "tcp", Target: Target{Kind: Accept}}
	half := Rule{Protocol: "tcp", Statistic: Statistic{Every: 2}, Target: Target{Kind: DNAT, Address: vip.Next()}}
	turned := Rule{Source: netip.MustParsePrefix("198.51.100.0/24"), Target: Target{Kind: Return}}
	packet := Packet{Protocol: "tcp", Destination: vip, Port: 80, Source: vip.Prev()}
	for name, test := range map[string]struct {
		rules     []Rule
		stays, to bool
	}{
		"alone":           {[]Rule{accept}, true, false},
		"behind another":  {[]Rule{half, accept}, true, true},
		"not any more":    {[]Rule{half}, false, true},
		"of other packet": {[]Rule{{Destination: netip.PrefixFrom(vip.Next(), 32), Protocol: "tcp", Target: Target{Kind: Accept}}}, false, false},
		"for all others":  {[]Rule{turned, accept}, true, false},
	} {
		table := Table{Chains: []Chain{{Name: ServicePre, Rules: test.rules}}}
		if stays, to := table.CanStay(Prerouting, packet), table.CanTranslate(Prerouting, packet); stays != test.stays || to != test.to {
			t.Errorf("%s: stays %v, goes elsewhere %v", name, stays, to)
		}
		denied := packet
		denied.Source = turned.Source.Addr()
		if name == "for all others" && table.CanStay(Prerouting, denied) {
			t.Errorf("%s: who is turned away stays", name)
		}
	}
}
