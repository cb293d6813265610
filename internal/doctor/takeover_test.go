package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore/flows"
)

// takesOver gives the service takeover.
func takesOver(_ *testing.T, p *patient) { p.Balancer.Services[0].Takeover = true }

// takeoverFaults keep connections of another balancer from going on here.
func takeoverFaults() []fault {
	const ready = "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose; echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal\n"
	const begun = "iptables-(nft|legacy) -I FORWARD -m conntrack --ctproto 6 --ctorigsrc 10.0.0.1 --ctorigsrcport 80 -j ACCEPT"
	const resumed = "iptables-(nft|legacy) -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT"
	const forGood = " # until the next boot; for good: forward = \"accept\" in service web, then: natspread apply"
	const noSYN = "-p tcp ! --syn -m conntrack --ctstate NEW -j DROP"
	const backends, clients = "backends of web \\(10.0.0.1:80\\)", "clients of web"
	dropped := func(name, lines, who, rule, fix string) fault {
		return fault{
			name: "takeover, " + name, variants: true, change: takesOver, lines: ready + lines, severity: Broken, fix: fix,
			want: "^ipv4: what " + who + " say first in connections that another balancer had is dropped: .*" + rule,
		}
	}
	return []fault{
		{
			name: "takeover, not loose", change: takesOver, lines: ready + "echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose",
			severity: Broken, want: "^net.netfilter.nf_conntrack_tcp_loose is 0: open connections of web that another balancer had are lost", fix: "sysctl -w net.netfilter.nf_conntrack_tcp_loose=1",
		},
		{
			name: "takeover, not liberal", change: takesOver, lines: ready + "mkdir -p ROOT/etc/sysctl.d ROOT/etc/modules-load.d; echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal",
			severity: Risk, want: "^net.netfilter.nf_conntrack_tcp_be_liberal is 0: connections of web that go to another balancer and come back are lost",
			fix: "echo nf_conntrack > /etc/modules-load.d/60-takeover.conf && echo net.netfilter.nf_conntrack_tcp_be_liberal=1 > /etc/sysctl.d/60-takeover.conf && sysctl -p /etc/sysctl.d/60-takeover.conf",
		},
		{
			name: "takeover, address elsewhere", stops: true, severity: Risk, want: "^192.0.2.10, listen of web, is on no interface: another balancer has it, or nobody$",
			change: func(t *testing.T, p *patient) {
				takesOver(t, p)
				forget(t, p)
			},
			lines: ready + "ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.11/24 dev front",
			again: func(t *testing.T, p *patient, _ string) { p.sh(t, "ip address add 192.0.2.10/24 dev front") },
		},
		{
			name: "takeover, return path", source: config.SNAT{Mode: config.None}, layout: netnstest.Layout{Gateway: true}, stops: true, severity: Risk,
			prepare: func(t *testing.T, p *patient) {
				takesOver(t, p)
				p.sh(t, ready)
			},
			change: func(t *testing.T, p *patient) {
				p.Backends[0].Host.Command(t, "", "ip", "route", "del", "default")
				flush(t)
			},
			want: "^with takeover the answers of 10.0.0.1 must be routed through the balancer that the client asked", fix: "ip route replace default via GATEWAY # on each of them; GATEWAY is the address that moves .*",
			again: func(t *testing.T, p *patient, line string) {
				p.Backends[0].Host.Command(t, strings.Replace(line, "GATEWAY", "10.0.0.254", 1), "sh")
				p.hold(t)
			},
		},
		dropped("policy", "IPTABLES -P FORWARD DROP; IPTABLES -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT", backends, "the policy of FORWARD", begun+forGood),
		dropped("new ones without SYN", "IPTABLES -A FORWARD "+noSYN, backends+" and their clients", "rule 1 of FORWARD ", begun+" && "+resumed+forGood),
		dropped("those of clients", "IPTABLES -A FORWARD -i front "+noSYN, clients, "rule 1 of FORWARD ", resumed+forGood),
		dropped("policy, a SYN alone", "IPTABLES -P FORWARD DROP; IPTABLES -A FORWARD -p tcp --syn -j ACCEPT; IPTABLES -A FORWARD -p tcp --sport 80 -j ACCEPT; IPTABLES -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT",
			clients, "the policy of FORWARD", resumed+forGood),
		dropped("before they are tracked", "IPTABLES -t mangle -A PREROUTING "+noSYN, backends+" and their clients", "rule 1 of PREROUTING of the mangle table ", "iptables-(nft|legacy) -t mangle -D PREROUTING .* # until .*"),
		{
			name: "takeover, before its accepts", variants: true, severity: Broken, lines: "IPTABLES -I FORWARD " + noSYN, fix: "iptables-(nft|legacy) -t filter -D FORWARD .* # until .*",
			want: "^ipv4: what " + backends + " and their clients say first in connections that another balancer had is dropped: rule 1 of FORWARD ",
			prepare: func(t *testing.T, p *patient) {
				takesOver(t, p)
				p.Balancer.Services[0].Forward = config.Accept
				p.sh(t, ready+netnstest.Programs(p.variant, 4).Restore+" --noflush <<'END'\n"+string(takeoverAccepts().Text())+"END")
			},
		},
		{
			name: "takeover, accepts gone", variants: true, severity: Broken, want: "^ipv4: what backends of web \\(10.0.0.1:80\\) say first in connections that another balancer had is dropped", fix: FixApply,
			lines: ready + "IPTABLES -P FORWARD DROP; IPTABLES -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
			change: func(t *testing.T, p *patient) {
				takesOver(t, p)
				p.Balancer.Services[0].Forward = config.Accept
			},
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, netnstest.Programs(p.variant, 4).Restore+" --noflush <<'END'\n"+string(takeoverAccepts().Text())+"END")
			},
		},
	}
}

// takeoverAccepts is what apply puts into FORWARD for such a service.
func takeoverAccepts() rules.Table {
	backend := netip.MustParsePrefix("10.0.0.1/32")
	return rules.Table{Name: rules.Filter, Chains: []rules.Chain{
		{Name: rules.ServiceForward, Rules: []rules.Rule{{ConnectionProtocol: "tcp", ReplySource: backend, ReplyPorts: rules.Ports{First: 80, Last: 80}, Target: rules.Target{Kind: rules.Accept}}}},
		{Name: rules.ServiceTakeover, Rules: []rules.Rule{{ConnectionProtocol: "tcp", OriginalSource: backend, OriginalSourcePorts: rules.Ports{First: 80, Last: 80}, Target: rules.Target{Kind: rules.Accept}}}},
	}}
}

// TestTakeoverHarmless has what does no harm to connections that are taken over: who drops what
// is invalid, and filters by the reverse path, that is strict.
func TestTakeoverHarmless(t *testing.T) {
	onEach(t, "harmless", true, func(t *testing.T, variant string) {
		p := newPatient(t, variant, netnstest.Layout{}, config.SNAT{})
		takesOver(t, p)
		p.sh(t, "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose; echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal")
		before := p.examine(t)
		p.sh(t, strings.ReplaceAll("IPTABLES -A FORWARD -m conntrack --ctstate INVALID -j DROP\n", "IPTABLES", netnstest.Programs(variant, 4).Iptables)+
			"for f in all front back; do echo 1 > /proc/sys/net/ipv4/conf/$f/rp_filter; done")
		if after := p.examine(t); reported(after) != reported(before) {
			t.Errorf("found\n%s\nin place of\n%s", reported(after), reported(before))
		}
	})
}

// TestTakeoverOnce has one finding of a rule that drops all that clients send, whatever it also drops
// of connections that another balancer had.
func TestTakeoverOnce(t *testing.T) {
	for name, rule := range map[string]string{"as they arrive": "-t mangle -A PREROUTING -d 192.0.2.10/32 -j DROP", "as they are forwarded": "-A FORWARD -m conntrack --ctstate DNAT -j DROP"} {
		onEach(t, name, true, func(t *testing.T, variant string) {
			p := newPatient(t, variant, netnstest.Layout{}, config.SNAT{})
			takesOver(t, p)
			p.sh(t, netnstest.Programs(variant, 4).Iptables+" "+rule)
			_, words, _ := strings.Cut(rule, "-A ")
			if said := reported(p.examine(t)); strings.Count(said, "-A "+words) != 1 {
				t.Errorf("found\n%s", said)
			}
		})
	}
}

// TestTakeoverAsked looks at no sysctl without takeover, or without tcp, and says what cannot be
// read; that nothing tracks connections yet is nothing to say.
func TestTakeoverAsked(t *testing.T) {
	const loose, liberal = "net/netfilter/nf_conntrack_tcp_loose", "net/netfilter/nf_conntrack_tcp_be_liberal"
	with := func(takeover bool, protocol config.Protocol, pairs ...string) []Finding {
		e := examination{Host: host(t, sysctls(pairs...)), Balancer: Balancer{Services: []config.Service{webService()}}}
		e.Services[0].Takeover, e.Services[0].Protocols = takeover, []config.Protocol{protocol}
		return e.takeover()
	}
	wantFindings(t, with(false, config.TCP, loose, "0", liberal, "0"))
	wantFindings(t, with(true, config.UDP, loose, "0", liberal, "0"))
	wantFindings(t, with(true, config.TCP, loose, "1", liberal, "1"))
	wantFindings(t, with(true, config.TCP))
	wantFindings(t, with(true, config.TCP, loose, "0", liberal, "0"), "broken: net.netfilter.nf_conntrack_tcp_loose is 0", "risk: net.netfilter.nf_conntrack_tcp_be_liberal is 0")
	wantFindings(t, with(true, config.TCP, loose, "many", liberal, "1"), "risk: cannot tell whether connections are taken over")
}

// TestBegunHere takes a connection that a backend began through this host for its route here.
func TestBegunHere(t *testing.T) {
	e := examination{}
	backend := netip.MustParseAddrPort("10.0.0.1:80")
	client, vip := netip.MustParseAddrPort("203.0.113.9:1"), netip.MustParseAddrPort("192.0.2.10:80")
	if e.repliedHere(backend.Addr()) {
		t.Error("without a connection")
	}
	e.flows[rules.IPv4] = []flows.Entry{{Protocol: flows.TCP, OrigSrc: backend, OrigDst: client, ReplySrc: client, ReplyDst: vip}}
	if !e.repliedHere(backend.Addr()) || e.repliedHere(netip.MustParseAddr("10.0.0.2")) {
		t.Error("with one of the first backend")
	}
}
