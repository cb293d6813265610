package rules

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// comparable addresses for cmp.
var sameAddress = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

// TestRules reads and writes each form of rule that natspread has.
func TestRules(t *testing.T) {
	to := func(kind TargetKind, address string, port uint16) Target {
		return Target{Kind: kind, Address: netip.MustParseAddr(address), Port: port}
	}
	web := Target{Chain: "NATSPREAD-web"}
	for text, want := range map[string]Rule{
		"-m comment --comment natspread -j NATSPREAD-PRE": {Comment: Comment, Target: Target{Chain: ServicePre}},
		"-d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j NATSPREAD-web": {
			Destination: netip.MustParsePrefix("192.0.2.10/32"), Protocol: "tcp", DestinationPorts: Ports{80, 80}, Target: web,
		},
		"-i eth0.100 -p udp -m udp --dport 1:65535 -m addrtype --dst-type LOCAL -j NATSPREAD-web": {
			InInterface: "eth0.100", Protocol: "udp", DestinationPorts: Ports{1, 65535}, LocalDestination: true, Target: web,
		},
		"! -d 127.0.0.0/8 -p sctp -m sctp --dport 80 -m addrtype --dst-type LOCAL -j NATSPREAD-web": {
			NotDestination: netip.MustParsePrefix("127.0.0.0/8"), Protocol: "sctp", DestinationPorts: Ports{80, 80}, LocalDestination: true, Target: web,
		},
		"-p tcp -m conntrack --ctstate DNAT --ctorigdst 192.0.2.10 --ctorigdstport 8000:8010 -j SNAT --to-source 192.0.2.10": {
			Protocol: "tcp", Translated: true, OriginalDestination: netip.MustParsePrefix("192.0.2.10/32"), OriginalPorts: Ports{8000, 8010},
			Target: to(SNAT, "192.0.2.10", 0),
		},
		"-s 10.0.0.0/24 -d 10.0.0.1/32 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 80 -j MASQUERADE": {
			Source: netip.MustParsePrefix("10.0.0.0/24"), Destination: netip.MustParsePrefix("10.0.0.1/32"), Protocol: "tcp",
			Translated: true, OriginalPorts: Ports{80, 80}, Target: Target{Kind: Masquerade},
		},
		"-p tcp -m conntrack --ctstate DNAT --ctorigdst 192.0.2.10 --ctorigdstport 80 -j ACCEPT": {
			Protocol: "tcp", Translated: true, OriginalDestination: netip.MustParsePrefix("192.0.2.10/32"), OriginalPorts: Ports{80, 80}, Target: Target{Kind: Accept},
		},
		"-m conntrack --ctstate DNAT -m comment --comment natspread -j NATSPREAD-FORWARD": {Translated: true, Comment: Comment, Target: Target{Chain: ServiceForward}},
		"-m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 8000:8010 -j ACCEPT": {
			ConnectionProtocol: "tcp", OriginalDestination: netip.MustParsePrefix("192.0.2.10/32"), OriginalPorts: Ports{8000, 8010}, Target: Target{Kind: Accept},
		},
		"-m conntrack --ctproto 132 --ctreplsrc 10.0.0.0/30 --ctorigdstport 80 --ctreplsrcport 8080 -j ACCEPT": {
			ConnectionProtocol: "sctp", ReplySource: netip.MustParsePrefix("10.0.0.0/30"), OriginalPorts: Ports{80, 80}, ReplyPorts: Ports{8080, 8080}, Target: Target{Kind: Accept},
		},
		"-m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctreplsrc 10.0.0.1 --ctorigdstport 80 --ctreplsrcport 8080 -j ACCEPT": {
			ConnectionProtocol: "tcp", OriginalDestination: netip.MustParsePrefix("192.0.2.10/32"), ReplySource: netip.MustParsePrefix("10.0.0.1/32"),
			OriginalPorts: Ports{80, 80}, ReplyPorts: Ports{8080, 8080}, Target: Target{Kind: Accept},
		},
		"-m conntrack --ctproto 6 --ctreplsrc 10.0.0.1 --ctreplsrcport 8080 -j ACCEPT": {
			ConnectionProtocol: "tcp", ReplySource: netip.MustParsePrefix("10.0.0.1/32"), ReplyPorts: Ports{8080, 8080}, Target: Target{Kind: Accept},
		},
		"-m conntrack --ctstatus EXPECTED -j NATSPREAD-RELATED": {Expected: true, Target: Target{Chain: ServiceRelated}},
		"-m conntrack --ctstate DNAT --ctreplsrc 10.0.0.1 --ctstatus EXPECTED -j ACCEPT": {
			Translated: true, ReplySource: netip.MustParsePrefix("10.0.0.1/32"), Expected: true, Target: Target{Kind: Accept},
		},
		"-m conntrack --ctstate SNAT --ctorigsrc 10.0.0.0/30 --ctstatus EXPECTED -j ACCEPT": {
			SourceTranslated: true, OriginalSource: netip.MustParsePrefix("10.0.0.0/30"), Expected: true, Target: Target{Kind: Accept},
		},
		"-m conntrack --ctproto 17 -g NATSPREAD-Fc000020a.u": {ConnectionProtocol: "udp", Target: Target{Kind: Goto, Chain: "NATSPREAD-Fc000020a.u"}},
		"-p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.0.1:80": {
			Protocol: "tcp", Statistic: Statistic{Steps: 715827883}, Target: to(DNAT, "10.0.0.1", 80),
		},
		"-p tcp -m statistic --mode random --probability 0.00000000047 -j DNAT --to-destination 10.0.0.1": {
			Protocol: "tcp", Statistic: Statistic{Steps: 1}, Target: to(DNAT, "10.0.0.1", 0),
		},
		"-p tcp -m statistic --mode random --probability 0.99999999953 -j DNAT --to-destination 10.0.0.1": {
			Protocol: "tcp", Statistic: Statistic{Steps: ProbabilityScale - 1}, Target: to(DNAT, "10.0.0.1", 0),
		},
		"-p tcp -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination [2001:db8::1]:80": {
			Protocol: "tcp", Statistic: Statistic{Every: 2}, Target: to(DNAT, "2001:db8::1", 80),
		},
		"-p tcp -m conntrack --ctstate DNAT --ctorigdst 192.0.2.10 --ctorigdstport 80 -m statistic --mode random --probability 0.50000000000 -j SNAT --to-source 192.0.2.10-192.0.2.12 --random-fully": {
			Protocol: "tcp", Translated: true, OriginalDestination: netip.MustParsePrefix("192.0.2.10/32"), OriginalPorts: Ports{80, 80}, Statistic: Statistic{Steps: ProbabilityScale / 2},
			Target: Target{Kind: SNAT, Address: netip.MustParseAddr("192.0.2.10"), Last: netip.MustParseAddr("192.0.2.12"), Random: true},
		},
		"-j SNAT --to-source fd00::10-fd00::12": {Target: Target{Kind: SNAT, Address: netip.MustParseAddr("fd00::10"), Last: netip.MustParseAddr("fd00::12")}},
		"-j MASQUERADE --random-fully":          {Target: Target{Kind: Masquerade, Random: true}},
		"-p tcp -j DNAT --to-destination 10.0.0.1:9000-9010/8000": {
			Protocol: "tcp", Target: Target{Kind: DNAT, Address: netip.MustParseAddr("10.0.0.1"), Port: 9000, Shift: Shift{9010, 8000}},
		},
		"-p udp -j DNAT --to-destination [fd00::2]:65534-65535/1": {
			Protocol: "udp", Target: Target{Kind: DNAT, Address: netip.MustParseAddr("fd00::2"), Port: 65534, Shift: Shift{65535, 1}},
		},
		"-p tcp -m tcp --dport 80 ! --tcp-flags FIN,SYN,RST,ACK SYN -j DNAT --to-destination 10.0.0.1:8080": {
			Protocol: "tcp", DestinationPorts: Ports{80, 80}, Midstream: true, Target: to(DNAT, "10.0.0.1", 8080),
		},
		"-p tcp -j DNAT --to-destination 2001:db8::1":   {Protocol: "tcp", Target: to(DNAT, "2001:db8::1", 0)},
		"-p tcp -j DNAT --to-destination [::1.2.3.4]:1": {Protocol: "tcp", Target: to(DNAT, "::102:304", 1)},
		"-d 10.96.0.0/12 -p tcp -m tcp --dport 1:1023 -g NATSPREAD-D0a600000-12": {
			Destination: netip.MustParsePrefix("10.96.0.0/12"), Protocol: "tcp", DestinationPorts: Ports{1, 1023}, Target: Target{Kind: Goto, Chain: "NATSPREAD-D0a600000-12"},
		},
		"-p tcp -m conntrack --ctorigdst 10.96.0.0/12 --ctorigdstport 80 -g NATSPREAD-S0a600000-12": {
			Protocol: "tcp", OriginalDestination: netip.MustParsePrefix("10.96.0.0/12"), OriginalPorts: Ports{80, 80}, Target: Target{Kind: Goto, Chain: "NATSPREAD-S0a600000-12"},
		},
		"-m conntrack --ctorigdst 2001:db8::/32 -g NATSPREAD-web": {
			OriginalDestination: netip.MustParsePrefix("2001:db8::/32"), Target: Target{Kind: Goto, Chain: "NATSPREAD-web"},
		},
		"-s 10.0.0.1/32 -p tcp -m tcp --sport 8080 -j SNAT --to-source 192.0.2.10:80": {
			Source: netip.MustParsePrefix("10.0.0.1/32"), Protocol: "tcp", SourcePorts: Ports{8080, 8080}, Target: to(SNAT, "192.0.2.10", 80),
		},
		"-s fd00::1/128 -p udp -m udp --sport 53 -j SNAT --to-source [2001:db8::10]:53": {
			Source: netip.MustParsePrefix("fd00::1/128"), Protocol: "udp", SourcePorts: Ports{53, 53}, Target: to(SNAT, "2001:db8::10", 53),
		},
		"-s 10.0.0.0/30 -p tcp -m tcp --sport 8000:8010 -j SNAT --to-source 192.0.2.10": {
			Source: netip.MustParsePrefix("10.0.0.0/30"), Protocol: "tcp", SourcePorts: Ports{8000, 8010}, Target: to(SNAT, "192.0.2.10", 0),
		},
		"-m conntrack --ctproto 6 --ctorigsrc 10.0.0.1 --ctorigsrcport 8080 -j ACCEPT": {
			ConnectionProtocol: "tcp", OriginalSource: netip.MustParsePrefix("10.0.0.1/32"), OriginalSourcePorts: Ports{8080, 8080}, Target: Target{Kind: Accept},
		},
		"-m conntrack --ctstate NEW,SNAT -j NATSPREAD-TAKEOVER": {BeginsOrSNAT: true, Target: Target{Chain: ServiceTakeover}},
		"-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m mark --mark 0x2/0xf -g NATSPREAD-webZ07": {
			Protocol: "tcp", Midstream: true, Mark: Mark{2, 0xf}, Target: Target{Kind: Goto, Chain: "NATSPREAD-webZ07"},
		},
		"-p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctstate DNAT -j NATSPREAD-MSS": {Protocol: "tcp", Handshake: true, Translated: true, Target: Target{Chain: ServiceMSS}},
		"-p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 80 -j TCPMSS --clamp-mss-to-pmtu": {
			Protocol: "tcp", Handshake: true, ConnectionProtocol: "tcp", OriginalDestination: netip.MustParsePrefix("192.0.2.10/32"), OriginalPorts: Ports{80, 80},
			Target: Target{Kind: ClampMSS},
		},
		"-p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctproto 6 --ctreplsrc fd00::1 --ctorigdstport 80 --ctreplsrcport 8080 -j TCPMSS --set-mss 1260": {
			Protocol: "tcp", Handshake: true, ConnectionProtocol: "tcp", ReplySource: netip.MustParsePrefix("fd00::1/128"), OriginalPorts: Ports{80, 80}, ReplyPorts: Ports{8080, 8080},
			Target: Target{Kind: ClampMSS, Segment: 1260},
		},
		"-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6e617473 --hmark-mod 256": {Target: Target{Kind: Hash, Prefix: 32, Slots: 256}},
		"-j HMARK --hmark-src-prefix 128 --hmark-sport-mask 0xffff --hmark-rnd 0x6e617473 --hmark-mod 4096": {
			Target: Target{Kind: Hash, Prefix: 128, SourcePort: true, Slots: 4096},
		},
		"-m mark --mark 0x0/0xf0 -g NATSPREAD-webT00":                        {Mark: Mark{0, 0xf0}, Target: Target{Kind: Goto, Chain: "NATSPREAD-webT00"}},
		"-m mark --mark 0xc/0xf -g NATSPREAD-webZ0a":                         {Mark: Mark{0xc, 0xf}, Target: Target{Kind: Goto, Chain: "NATSPREAD-webZ0a"}},
		"-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff": {Target: Target{Kind: RestoreMark}},
		"-p tcp -j REDIRECT --to-ports 0":                                    {Protocol: "tcp", Target: Target{Kind: Refuse}},
		"-p tcp -j DNAT --to-destination 192.0.2.10:0":                       {Protocol: "tcp", Target: Target{Kind: Refuse, Address: netip.MustParseAddr("192.0.2.10")}},
		"-p tcp -j DNAT --to-destination [2001:db8::10]:0":                   {Protocol: "tcp", Target: Target{Kind: Refuse, Address: netip.MustParseAddr("2001:db8::10")}},
		"-s ::10.0.0.0/104 -j SNAT --to-source ::10.0.0.3":                   {Source: netip.MustParsePrefix("::a00:0/104"), Target: to(SNAT, "::a00:3", 0)},
		"-j " + Prefix + "-" + strings.Repeat("a", 15+3):                     {Target: Target{Chain: Prefix + "-" + strings.Repeat("a", 18)}},
		"-i " + strings.Repeat("a", 15) + " -j NATSPREAD-OUT":                {InInterface: strings.Repeat("a", 15), Target: Target{Chain: ServiceOut}},
	} {
		got, err := ParseRule(text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if diff := cmp.Diff(want, got, sameAddress); diff != "" {
			t.Errorf("%q: want -, got +:\n%s", text, diff)
		}
		if back := string(want.AppendText(nil)); back != text {
			t.Errorf("wrote %q\n want %q", back, text)
		}
	}
}

// TestParseRuleRefuses tries what natspread never writes: injections, what only
// some iptables take, other spellings of the same, and targets of others.
func TestParseRuleRefuses(t *testing.T) {
	const dnat = " -j DNAT --to-destination 10.0.0.1:80"
	const clamped = "-p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 80 -j "
	cases := map[string][]string{
		"quotes, newlines and other bytes": {
			`-m comment --comment "natspread" -j NATSPREAD-PRE`,
			`-m comment --comment "x\" -j DNAT --to-destination 203.0.113.6" -j NATSPREAD-PRE`,
			"-m comment --comment natspread\n-A PREROUTING -j NATSPREAD-PRE",
			"-m comment --comment natspread -j NATSPREAD-PRE\n",
			"-j NATSPREAD-web\n-APREROUTING\t-jDNAT",
			"-j NATSPREAD-web\t--modprobe=/tmp/x", // iptables-restore splits at tabs too
			"-j NATSPREAD-\"", "-j NATSPREAD-\\", "-j NATSPREAD-a\x00", "-j NATSPREAD-\u00e9", "-j NATSPREAD-\xff",
			"-i eth0\t--modprobe=/tmp/x -j NATSPREAD-web", "-i \"eth0\" -j NATSPREAD-web", "-i + -j NATSPREAD-web", "-i eth++ -j NATSPREAD-web", "-i e+h -j NATSPREAD-web", "-i abcdefghijklmno+ -j NATSPREAD-web",
			"-i -j -j NATSPREAD-web", "-i ! -j NATSPREAD-web", "-i  -j NATSPREAD-web", "-i",
			"-p tcp -j DNAT --to-destination fe80::1%eth0",
			"-p tcp -j DNAT --to-destination fe80::1%x\t--modprobe=/tmp/x",
			"-p tcp -j DNAT --to-destination [fe80::1%x]:80",
			"-p tcp -m conntrack --ctstate DNAT --ctorigdst fe80::1%x -j MASQUERADE",
			"-j SNAT --to-source fe80::1%x", "-s fe80::%x/64 -j MASQUERADE",
		},
		"options more": {
			"--modprobe=/tmp/x -p tcp" + dnat, "-p tcp" + dnat + " --modprobe=/tmp/x", "-p tcp" + dnat + " --random", "-p tcp" + dnat + " --persistent",
			"-j MASQUERADE --random", "-j MASQUERADE --to-ports 1", "-j NATSPREAD-web -j NATSPREAD-web", "-j NATSPREAD-web ", " -j NATSPREAD-web",
			"-o eth0 -j MASQUERADE", "-t filter -j NATSPREAD-web", "-f -j NATSPREAD-web", "-p tcp -p udp" + dnat,
			"-d 10.0.0.1/32 -d 10.0.0.2/32 -j NATSPREAD-web", "! -d 127.0.0.0/8 -d 10.0.0.1/32 -j NATSPREAD-web",
			"-p tcp -m tcp --sport 1 --dport 80 -j NATSPREAD-web", "-p tcp -m tcp --dport 80 --syn -j NATSPREAD-web", "-p tcp -m multiport --dports 80 -j NATSPREAD-web",
			"-p tcp -m statistic --mode nth --every 2 --packet 0 -m statistic --mode random --probability 0.50000000000" + dnat,
			"-m comment --comment natspread -m comment --comment natspread -j NATSPREAD-PRE", "-m comment --comment other -j NATSPREAD-PRE", "-m comment --comment",
			"-p tcp -m conntrack --ctstate DNAT --ctrepldst 10.0.0.1 -j MASQUERADE", "-p tcp -m conntrack --ctstate NEW -j MASQUERADE", "-p tcp -m conntrack --ctstate SNAT,DNAT -j MASQUERADE", "-m conntrack --ctstatus ASSURED -j NATSPREAD-RELATED", "-p tcp -m conntrack ! --ctstate DNAT -j MASQUERADE",
			"-m addrtype --dst-type LOCAL --limit-iface-in -j NATSPREAD-web", "-m addrtype --dst-type UNICAST -j NATSPREAD-web", "-m mark --mark 0x1 -j NATSPREAD-web",
		},
		"another order or spelling": {
			"-p tcp -d 10.0.0.1/32 -m tcp --dport 80 -j NATSPREAD-web", "-m tcp -p tcp --dport 80 -j NATSPREAD-web", "-m tcp --dport 80 -j NATSPREAD-web",
			"-p tcp -m udp --dport 80 -j NATSPREAD-web", "-p tcp --dport 80 -j NATSPREAD-web", "-p tcp  -j NATSPREAD-web", "-p tcp -j  NATSPREAD-web", "-p TCP" + dnat, "-p 6" + dnat,
			"-m statistic --mode nth --every 2 --packet 0 -p tcp" + dnat, "-j NATSPREAD-web -p tcp",
			"-d 10.0.0.1 -j NATSPREAD-web", "-d 10.1/16 -j NATSPREAD-web", "-d 10.0.0.1/24 -j NATSPREAD-web", "-d 10.0.0.0/024 -j NATSPREAD-web", "-d 10.0.0.1/255.255.255.255 -j NATSPREAD-web",
			"! -s 10.0.0.1/32 -j NATSPREAD-web", "-d 0.0.0.0/0 -j NATSPREAD-web", "-s ::/0 -j MASQUERADE", "! -d 0.0.0.0/0 -j NATSPREAD-web",
			"-d 2001:DB8::1/128 -j NATSPREAD-web", "-d 2001:db8:0::1/128 -j NATSPREAD-web", "-d ::102:304/128 -j NATSPREAD-web", "--jump NATSPREAD-web", "--goto NATSPREAD-web", "-m conntrack --ctorigdst 10.0.0.1/32 -j NATSPREAD-web", "-m conntrack -j NATSPREAD-web",
			"-m conntrack --ctorigdst 10.0.0.1/24 -j NATSPREAD-web", "-m conntrack --ctorigdst 0.0.0.0/0 -j NATSPREAD-web", "-m conntrack --ctorigdst 10.0.0.0/255.0.0.0 -j NATSPREAD-web",
		},
		"probabilities and turns": {
			"-p tcp -m statistic --mode random --probability 1.00000000000" + dnat, "-p tcp -m statistic --mode random --probability 0.00000000000" + dnat,
			"-p tcp -m statistic --mode random --probability 0.5" + dnat, "-p tcp -m statistic --mode random --probability 0.33333333333" + dnat,
			"-p tcp -m statistic --mode random --probability NaN" + dnat, "-p tcp -m statistic --mode random --probability Inf" + dnat,
			"-p tcp -m statistic --mode random --probability -0.50000000000" + dnat, "-p tcp -m statistic --mode random --probability 1e300" + dnat,
			"-p tcp -m statistic --mode random --probability 0x1p-1" + dnat, "-p tcp -m statistic --mode random" + dnat,
			"-p tcp -m statistic --mode random ! --probability 0.50000000000" + dnat,
			"-p tcp -m statistic --mode nth --every 1 --packet 0" + dnat, "-p tcp -m statistic --mode nth --every 0 --packet 0" + dnat,
			"-p tcp -m statistic --mode nth --every 2 --packet 1" + dnat, "-p tcp -m statistic --mode nth --every 2" + dnat, "-p tcp -m statistic --mode nth --every +2 --packet 0" + dnat,
			"-p tcp -m statistic --mode nth --every 4294967296 --packet 0" + dnat, "-p tcp -m statistic --mode other" + dnat,
		},
		"addresses and ports": {
			"-p tcp -j DNAT --to-destination 0.0.0.0", "-p tcp -j DNAT --to-destination 0.0.0.0:80", "-p tcp -j DNAT --to-destination ::", "-j SNAT --to-source 0.0.0.0",
			"-p tcp -j DNAT --to-destination 10.0.0.1:00", "-p tcp -j DNAT --to-destination [fd00::1]:00", "-p tcp -j DNAT --to-destination :0", "-p tcp -j DNAT --to-destination 10.0.0.1:65536", "-p tcp -j DNAT --to-destination 10.0.0.1:080",
			"-p tcp -j DNAT --to-destination 10.0.0.1:80-90", "-p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.9", "-p tcp -j DNAT --to-destination :80",
			"-p tcp -j DNAT --to-destination 10.0.0.1:9000/8000", "-p tcp -j DNAT --to-destination 10.0.0.1:9000-9000/8000", "-p tcp -j DNAT --to-destination 10.0.0.1:9010-9000/8000",
			"-p tcp -j DNAT --to-destination 10.0.0.1:9000-9010/0", "-p tcp -j DNAT --to-destination 10.0.0.1:9000-9010/65530", "-p tcp -j DNAT --to-destination 10.0.0.1:9000-9010/08000",
			"-p tcp -j DNAT --to-destination 10.0.0.1:0-10/8000", "-p tcp -j DNAT --to-destination 10.0.0.1-9010/8000", "-p tcp -j DNAT --to-destination fd00::1-9010/8000", "-p tcp -j DNAT --to-destination 10.0.0.1:9000-9010/8000-8010",
			"-p tcp -j SNAT --to-source 10.0.0.1:9000-9010/8000",
			"-p tcp -j DNAT --to-destination 010.0.0.1", "-p tcp -j DNAT --to-destination 10.1", "-p tcp -j DNAT --to-destination localhost", "-p tcp -j DNAT --to-destination",
			"-p tcp -j DNAT --to-destination [2001:db8::1]", "-p tcp -j DNAT --to-destination [10.0.0.1]:80", "-j SNAT --to-source 10.0.0.1:80", "-j SNAT --to-source 10.0.0.2-10.0.0.1", "-j SNAT --to-source 10.0.0.1-10.0.0.1", "-j SNAT --to-source 10.0.0.1-fd00::1", "-j SNAT --to-source 10.0.0.1-",
			"-j SNAT --to-source 10.0.0.1 --random", "-j SNAT --to-source 10.0.0.1 --random-fully --persistent", "-j SNAT --random-fully --to-source 10.0.0.1", "-j MASQUERADE --random-fully --random-fully", "-j MASQUERADE --to-ports 1024-65535", "-p tcp -j DNAT --to-destination 10.0.0.1:80 --random-fully",
			"-p tcp -m tcp --dport 0 -j NATSPREAD-web", "-p tcp -m tcp --dport 0:80 -j NATSPREAD-web", "-p tcp -m tcp --dport 90:80 -j NATSPREAD-web", "-p tcp -m tcp --dport 80:80 -j NATSPREAD-web",
			"-p tcp -m tcp --dport 65536 -j NATSPREAD-web", "-p tcp -m tcp --dport http -j NATSPREAD-web", "-p tcp -m tcp --dport 80: -j NATSPREAD-web", "-p tcp -m tcp ! --dport 80 -j NATSPREAD-web",
			"-p icmp -j NATSPREAD-web", "-p all -j NATSPREAD-web", "-p", "-j REDIRECT --to-ports 80", "-j REDIRECT",
		},
		"takeover": {
			"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -g NATSPREAD-web", "-p tcp -m tcp ! --syn -g NATSPREAD-web", "-p tcp -m tcp ! --tcp-flags SYN,RST,ACK,FIN SYN -g NATSPREAD-web",
			"-p udp -m udp ! --tcp-flags FIN,SYN,RST,ACK SYN -g NATSPREAD-web", "-p tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -g NATSPREAD-web", "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN,ACK -g NATSPREAD-web",
			"-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN --dport 80 -g NATSPREAD-web", "-p tcp -m tcp", "-p tcp -m tcp !",
			"-s 10.0.0.1/32 -p tcp -m tcp --sport 80 -j SNAT --to-source 192.0.2.10:0", "-s 10.0.0.1/32 -p tcp -m tcp --sport 80 -j SNAT --to-source 192.0.2.10:80-90",
			"-s 10.0.0.1/32 -p tcp -j SNAT --to-source 192.0.2.10:80", "-p tcp -m tcp --sport 80 -j SNAT --to-source 192.0.2.10:80", "-s 10.0.0.1/32 -p tcp -m tcp ! --sport 80 -j SNAT --to-source 192.0.2.10:80",
			"-s 10.0.0.1/32 -p tcp -m tcp --sport 0 -j SNAT --to-source 192.0.2.10:80", "-s fd00::1/128 -p tcp -m tcp --sport 80 -j SNAT --to-source [2001:db8::10]",
			"-m conntrack --ctproto 6 --ctorigsrc 10.0.0.1 -j ACCEPT", "-m conntrack --ctproto 6 --ctorigsrcport 80 -j ACCEPT", "-m conntrack --ctorigsrc 10.0.0.1 --ctorigsrcport 80 -j ACCEPT",
			"-m conntrack --ctstate NEW,SNAT -j ACCEPT", "-m conntrack --ctstate SNAT,NEW -j NATSPREAD-TAKEOVER", "-m conntrack --ctstate NEW -j NATSPREAD-TAKEOVER",
			"-m conntrack --ctstate NEW,SNAT --ctstate DNAT -j NATSPREAD-TAKEOVER",
		},
		"segments": {
			"-p tcp -m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 80 -j TCPMSS --clamp-mss-to-pmtu", "-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
			clamped + "TCPMSS", clamped + "TCPMSS --set-mss 0", clamped + "TCPMSS --set-mss 01260", clamped + "TCPMSS --set-mss 65536", clamped + "TCPMSS --set-mss", clamped + "TCPMSS --clamp-mss-to-pmtu --set-mss 1260",
			strings.Replace(clamped, "SYN,RST SYN", "RST,SYN SYN", 1) + "TCPMSS --clamp-mss-to-pmtu", strings.Replace(clamped, "SYN,RST SYN", "SYN,RST SYN,RST", 1) + "TCPMSS --clamp-mss-to-pmtu",
			strings.Replace(clamped, "tcp-flags", "syn", 1) + "TCPMSS --clamp-mss-to-pmtu", strings.Replace(clamped, "-p tcp -m tcp", "-p udp -m udp", 1) + "TCPMSS --clamp-mss-to-pmtu",
			strings.Replace(clamped, " --ctorigdst 192.0.2.10", "", 1) + "TCPMSS --clamp-mss-to-pmtu", strings.Replace(clamped, " --ctorigdstport 80", "", 1) + "TCPMSS --clamp-mss-to-pmtu",
		},
		"marks": {
			"-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6e617474 --hmark-mod 256", "-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6E617473 --hmark-mod 256",
			"-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6e617473 --hmark-mod 255", "-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6e617473 --hmark-mod 8192",
			"-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6e617473 --hmark-mod 65792", "-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6e617473 --hmark-mod 0x100",
			"-j HMARK --hmark-src-prefix 0 --hmark-rnd 0x6e617473 --hmark-mod 256", "-j HMARK --hmark-src-prefix 129 --hmark-rnd 0x6e617473 --hmark-mod 256",
			"-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6e617473 --hmark-mod 256 --hmark-offset 0", "-j HMARK --hmark-tuple src --hmark-rnd 0x6e617473 --hmark-mod 256",
			"-j HMARK --hmark-src-prefix 32 --hmark-sport-mask 0xff --hmark-rnd 0x6e617473 --hmark-mod 256", "-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x6e617473", "-j HMARK",
			"-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xffffffff", "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", "-j CONNMARK --restore-mark", "-j CONNMARK",
			"-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff --x", "-j MARK --set-xmark 0x0/0xffffffff",
			"-m mark --mark 0x5 -g NATSPREAD-web", "-m mark --mark 0x10/0x0 -g NATSPREAD-web", "-m mark --mark 0x10/0xf -g NATSPREAD-web", "-m mark --mark 0x0/0xffffffff -g NATSPREAD-web",
			"-m mark --mark 0x00/0xf0 -g NATSPREAD-web", "-m mark --mark 0/0xf0 -g NATSPREAD-web", "-m mark --mark 0xF/0xf -g NATSPREAD-web", "-m mark --mark 1/15 -g NATSPREAD-web",
			"-m mark --mark 0x0/0x1000 -g NATSPREAD-web", "-m mark ! --mark 0x1/0xf -g NATSPREAD-web", "-m mark --mark 0x1/0xf -m mark --mark 0x10/0xf0 -g NATSPREAD-web",
			"-m mark --mark 0x1/0xf/0xf -g NATSPREAD-web", "-m mark", "-m connmark --mark 0x1/0xf -g NATSPREAD-web",
		},
		"targets of others": {
			"", "-p tcp", "-j DROP",
			"-j ACCEPT", "-m conntrack --ctproto 6 --ctorigdst 192.0.2.10 -j ACCEPT", "-m conntrack --ctproto 6 --ctorigdstport 80 -j ACCEPT",
			"-m conntrack --ctstatus EXPECTED -j ACCEPT", "-m conntrack --ctreplsrc 10.0.0.1 --ctstatus EXPECTED -j ACCEPT", "-m conntrack --ctorigsrc 10.0.0.1 --ctstatus EXPECTED -j ACCEPT",
			"-m conntrack --ctstate SNAT --ctorigsrc 10.0.0.1 -j ACCEPT", "-m conntrack --ctproto 6 --ctreplsrc 10.0.0.1 -j ACCEPT", "-m conntrack --ctproto 6 --ctreplsrcport 80 -j ACCEPT",
			"-m conntrack --ctorigdst 192.0.2.10 --ctorigdstport 80 -j ACCEPT", "-p tcp -m conntrack --ctorigdst 192.0.2.10 --ctorigdstport 80 -j ACCEPT",
			"-g ACCEPT", "-g DOCKER", "-g", "-j NATSPREAD-web -g NATSPREAD-web", "-j RETURN", "-j DOCKER", "-j LOG --log-prefix x", "-j NATSPREADER", "-j natspread-web",
			"-j NATSPREAD-" + strings.Repeat("a", 19), "-i " + strings.Repeat("a", 16) + " -j NATSPREAD-web", "-j", "-j NATSPREAD-web extra", "NATSPREAD-web",
		},
	}
	for group, texts := range cases {
		for _, text := range texts {
			if rule, err := ParseRule(text); err == nil {
				t.Errorf("%s: took %q as %+v", group, text, rule)
			}
		}
	}
}

// TestStatisticDigits shows that eleven digits tell every step apart.
func TestStatisticDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.Uint32Range(1, ProbabilityScale-1).Draw(t, "steps")
		text := string(Rule{Statistic: Statistic{Steps: steps}, Target: Target{Kind: Masquerade}}.AppendText(nil))
		rule, err := ParseRule(text)
		if err != nil || rule.Statistic.Steps != steps {
			t.Fatalf("%d steps are %q, which is %d steps, %v", steps, text, rule.Statistic.Steps, err)
		}
		digits := strings.Fields(text)[5]
		p, err := strconv.ParseFloat(digits, 64)
		if err != nil || math.Round(p*ProbabilityScale) != float64(steps) {
			t.Fatalf("a program that reads %s gets %v steps in place of %d", digits, p*ProbabilityScale, steps)
		}
	})
}

// TestProbability prints every number of steps as strconv does, that is as printf(3), also those that
// lie in the middle between two numbers of eleven digits.
func TestProbability(t *testing.T) {
	same := func(steps uint32) {
		t.Helper()
		want := strconv.FormatFloat(float64(steps)/ProbabilityScale, 'f', probabilityDigits, 64)
		if got := string(appendProbability(nil, steps)); got != want {
			t.Errorf("%d steps are %s, want %s", steps, got, want)
		}
	}
	for middle := uint32(1 << 19); middle < ProbabilityScale; middle += 1 << 19 {
		same(middle - 1)
		same(middle)
		same(middle + 1)
	}
	same(1)
	same(ProbabilityScale - 1)
	rapid.Check(t, func(r *rapid.T) { same(rapid.Uint32Range(1, ProbabilityScale-1).Draw(r, "steps")) })
}

// TestMatches tries each condition alone, on a packet that meets it and on one
// that does not.
func TestMatches(t *testing.T) {
	address := netip.MustParseAddr
	net := netip.MustParsePrefix("10.0.0.0/24")
	for name, test := range map[string]struct {
		rule     Rule
		yes, not Packet
	}{
		"-s":              {Rule{Source: net}, Packet{Source: address("10.0.0.9")}, Packet{Source: address("10.0.1.9")}},
		"-d":              {Rule{Destination: net}, Packet{Destination: address("10.0.0.9")}, Packet{Destination: address("10.0.1.9")}},
		"! -d":            {Rule{NotDestination: net}, Packet{Destination: address("10.0.1.9")}, Packet{Destination: address("10.0.0.9")}},
		"-i":              {Rule{InInterface: "eth0"}, Packet{InInterface: "eth0"}, Packet{InInterface: "eth1"}},
		"-i for our own":  {Rule{InInterface: "eth0"}, Packet{InInterface: "eth0"}, Packet{}},
		"-p":              {Rule{Protocol: "tcp"}, Packet{Protocol: "tcp"}, Packet{Protocol: "udp"}},
		"--dport":         {Rule{DestinationPorts: Ports{80, 80}}, Packet{Port: 80}, Packet{Port: 81}},
		"--dport first":   {Rule{DestinationPorts: Ports{80, 90}}, Packet{Port: 80}, Packet{Port: 79}},
		"--dport last":    {Rule{DestinationPorts: Ports{80, 90}}, Packet{Port: 90}, Packet{Port: 91}},
		"--dst-type":      {Rule{LocalDestination: true}, Packet{Local: true}, Packet{}},
		"--ctstate":       {Rule{Translated: true}, Packet{OriginalAddress: address("10.0.0.9")}, Packet{}},
		"--ctorigdst":     {Rule{OriginalDestination: net}, Packet{OriginalAddress: address("10.0.0.9")}, Packet{OriginalAddress: address("10.0.1.9")}},
		"--sport":         {Rule{SourcePorts: Ports{80, 90}}, Packet{SourcePort: 85}, Packet{SourcePort: 91}},
		"--sport unknown": {Rule{SourcePorts: Ports{80, 90}}, Packet{SourcePort: 80}, Packet{}},
		"--tcp-flags":     {Rule{Midstream: true}, Packet{Midstream: true}, Packet{}},
		"--tcp-flags SYN": {Rule{Handshake: true}, Packet{}, Packet{Midstream: true}},
		"--ctorigsrc":     {Rule{OriginalSource: net}, Packet{Source: address("10.0.0.9")}, Packet{Source: address("10.0.1.9")}},
		"--ctorigsrcport": {Rule{OriginalSourcePorts: Ports{80, 80}}, Packet{SourcePort: 80}, Packet{}},
		"--ctorigdstport": {Rule{OriginalPorts: Ports{1, 2}}, Packet{OriginalPort: 2}, Packet{OriginalPort: 3}},
	} {
		if !test.rule.Matches(test.yes) || test.rule.Matches(test.not) {
			t.Errorf("%s: matches %v and %v", name, test.rule.Matches(test.yes), test.rule.Matches(test.not))
		}
		if !(Rule{}).Matches(test.yes) || !(Rule{}).Matches(test.not) {
			t.Errorf("%s: no condition does not match", name)
		}
	}
}
