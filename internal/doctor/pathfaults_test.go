package doctor

import (
	"fmt"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
)

// until is what stands behind a line that takes out a rule of others.
const until = " # until what made it makes it again: take it out there, too"

// native makes a chain of nft's own with one rule.
func native(kind, rule string) string {
	return "nft 'add table inet other; add chain inet other c { type " + kind + "; }; add rule inet other c " + rule + "'"
}

// deleted is the line that takes that rule out.
const deleted = "nft delete rule inet other c handle [0-9]+" + until

// withoutFirst takes out the first rule of PREROUTING in the nat table, as apply does by
// putting its jump first.
func withoutFirst(t *testing.T, p *patient, _ string) {
	t.Helper()
	p.sh(t, netnstest.Programs(p.variant, 4).Iptables+" -t nat -D PREROUTING 1")
}

// pathFaults are rules of others, and chains of nft's own, that packets meet before or after
// natspread's.
func pathFaults() []fault {
	each := func(name, lines, want, fix string) fault {
		return fault{name: name, variants: true, lines: lines, stops: true, severity: Broken, want: want, fix: fix}
	}
	one := func(name, kind, rule, want string) fault {
		return fault{name: "nftables, " + name, lines: native(kind, rule), stops: true, severity: Broken, want: want, fix: deleted}
	}
	const gets = `^ipv4: service web \(192.0.2.10:80\) gets nothing: rule 1 of `
	taken := each("a rule takes it", "IPTABLES -t nat -I PREROUTING -d 192.0.2.10 -p tcp --dport 80 -j DNAT --to 10.0.0.4:80",
		gets+`PREROUTING of the nat table \((nft|legacy)\): -A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.4:80 takes it$`, "natspread apply")
	taken.again = withoutFirst
	accepted := each("a rule accepts it", "IPTABLES -t nat -I PREROUTING -i front -j ACCEPT", gets+`PREROUTING of the nat table .* takes it$`, "natspread apply")
	accepted.again = withoutFirst
	perhaps := fault{
		name: "a rule may take it", variants: true, lines: "IPTABLES -t nat -I PREROUTING -s 203.0.113.0/24 -p tcp --dport 80 -j ACCEPT", severity: Risk, fix: "natspread apply", again: withoutFirst,
		want: `^ipv4: rule 1 of PREROUTING of the nat table \((nft|legacy)\): -A PREROUTING -s 203.0.113.0/24 .* may take what comes for service web \(192.0.2.10:80\)$`,
	}
	ownShare := func(t *testing.T, p *patient) {
		addBackend("192.0.2.10")(t, p)
		netnstest.Serve(t, p.Network.Balancer, "tcp", "192.0.2.10:80")
	}
	faults := []fault{
		taken, accepted, perhaps,
		{
			name: "the share of the host itself", variants: true, prepare: ownShare, lines: "IPTABLES -A INPUT -i front -p tcp --dport 80 -j DROP", severity: Broken,
			want: `^ipv4: connections of web to 192.0.2.10:80, which is this host, are dropped by rule 1 of INPUT of the filter table \((nft|legacy)\): -A INPUT -i front -p tcp -m tcp --dport 80 -j DROP$`,
			fix:  "iptables-(nft|legacy) -I INPUT -d 192.0.2.10 -p tcp --dport 80 -j ACCEPT # until the next boot",
		},
		{
			name: "the share of the host itself, in mangle", variants: true, prepare: ownShare, lines: "IPTABLES -t mangle -A INPUT -i front -p tcp --dport 80 -j DROP", severity: Broken,
			want: `^ipv4: connections of web to 192.0.2.10:80, which is this host, are dropped by rule 1 of INPUT of the mangle table`,
			fix:  "iptables-(nft|legacy) -t mangle -D INPUT -i front -p tcp -m tcp --dport 80 -j DROP" + until,
		},
		each("untracked", "IPTABLES -t raw -I PREROUTING -p tcp --dport 80 -j CT --notrack", gets+`PREROUTING of the raw table .* keeps it from being tracked`,
			"iptables-(nft|legacy) -t raw -D PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack"+until),
		each("replies untracked", "IPTABLES -t raw -I PREROUTING -i back -j CT --notrack", `^ipv4: replies of backends of web are not translated back: rule 1 of PREROUTING of the raw table .* keeps them from being tracked$`,
			"iptables-(nft|legacy) -t raw -D PREROUTING -i back -j CT --notrack"+until),
		each("a zone", "IPTABLES -t raw -I PREROUTING -i front -j CT --zone 1", `^ipv4: replies of backends of web are not translated back: rule 1 of PREROUTING of the raw table .* --zone 1 puts packets one way into another zone of conntrack$`,
			"iptables-(nft|legacy) -t raw -D PREROUTING -i front -j CT --zone 1"+until),
		each("dropped in mangle", "IPTABLES -t mangle -A PREROUTING -p tcp --dport 80 -j DROP", gets+`PREROUTING of the mangle table .* drops it$`,
			"iptables-(nft|legacy) -t mangle -D PREROUTING -p tcp -m tcp --dport 80 -j DROP"+until),
		each("a policy of mangle", "IPTABLES -t mangle -P PREROUTING DROP", `^ipv4: service web \(192.0.2.10:80\) gets nothing: the policy of PREROUTING in PREROUTING of the mangle table .* drops it$`,
			"iptables-(nft|legacy) -t mangle -P PREROUTING ACCEPT"+until),
		each("dropped on the way out", "IPTABLES -t mangle -A POSTROUTING -d 10.0.0.1 -p tcp --dport 80 -j DROP", `^ipv4: connections of web to 10.0.0.1:80 are dropped by rule 1 of POSTROUTING of the mangle table`,
			"iptables-(nft|legacy) -t mangle -D POSTROUTING -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j DROP"+until),
		each("dropped on the way back", "IPTABLES -t mangle -A PREROUTING -i back -p tcp --sport 80 -j DROP", `^ipv4: connections of web to 10.0.0.1:80 are dropped by rule 1 of PREROUTING of the mangle table`,
			"iptables-(nft|legacy) -t mangle -D PREROUTING -i back -p tcp -m tcp --sport 80 -j DROP"+until),
		{
			name: "a program decides", variants: true, lines: "IPTABLES -t mangle -A PREROUTING -p tcp --dport 80 -j NFQUEUE --queue-num 7 --queue-bypass", severity: Risk,
			want: `^ipv4: cannot tell what becomes of what comes for service web \(192.0.2.10:80\): rule 1 of PREROUTING of the mangle table .* decides$`,
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, netnstest.Programs(p.variant, 4).Iptables+" -t mangle -F")
			},
		},
		{
			name: "what nobody can tell", variants: true, lines: "IPTABLES -t mangle -A PREROUTING -m u32 --u32 '6 & 0xFF = 7' -j DROP", severity: Risk,
			want: `^ipv4: cannot tell whether rule 1 of PREROUTING of the mangle table .* drops what comes for service web`,
			fix:  "iptables-(nft|legacy) -t mangle -D PREROUTING -m u32 --u32 \"0x6&0xff=0x7\" -j DROP" + until,
		},
		{
			name: "of its own connections", variants: true, lines: "IPTABLES -t mangle -A OUTPUT -d 192.0.2.10 -p tcp --dport 80 -j DROP", severity: Risk,
			change: func(_ *testing.T, p *patient) { p.Balancer.Services[0].Local = true },
			want:   `^ipv4: connections that this host itself makes to service web \(192.0.2.10:80\) are dropped: rule 1 of OUTPUT of the mangle table`,
			fix:    "iptables-(nft|legacy) -t mangle -D OUTPUT -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DROP" + until,
		},
		one("untracked", "filter hook prerouting priority raw", "tcp dport { 53, 80 } notrack", gets+"the nftables chain inet other c: tcp dport { 53, 80 } notrack keeps it from being tracked"),
		one("a zone", "filter hook prerouting priority raw", `iifname "front" ct zone set 1`, `^ipv4: replies of backends of web are not translated back: rule 1 of the nftables chain inet other c: iifname "front" ct zone set 1 puts packets`),
		one("dropped", "filter hook prerouting priority mangle", "ip daddr . tcp dport { 192.0.2.10 . 80 } drop", gets+"the nftables chain inet other c: .* drops it"),
		one("by a map", "filter hook prerouting priority mangle", "tcp dport vmap { 22 : accept, 80 : drop }", gets+"the nftables chain inet other c: .* drops it"),
		one("ahead by priority", "nat hook prerouting priority -110", "tcp dport 80 redirect to :81", gets+"the nftables chain inet other c: tcp dport 80 redirect to :81 takes it"),
		one("made last", "nat hook prerouting priority dstnat", "ip daddr 192.0.2.10 tcp dport 80 dnat ip to 10.0.0.4", gets+"the nftables chain inet other c: .* takes it"),
		one("forward", "filter hook forward priority filter", "tcp dport 80 drop", "^ipv4: connections of web to 10.0.0.1:80 are dropped, also with forward = \"accept\": rule 1 of the nftables chain inet other c: tcp dport 80 drop$"),
		one("on the way out", "filter hook postrouting priority 300", "ip daddr 10.0.0.1 drop", "^ipv4: connections of web to 10.0.0.1:80 are dropped"),
		{
			name: "nftables, a device", stops: true, severity: Broken, fix: "nft delete rule netdev other c handle [0-9]+" + until,
			lines: "nft 'add table netdev other; add chain netdev other c { type filter hook ingress device front priority 0; }; add rule netdev other c tcp dport 80 drop'",
			want:  gets + "the nftables chain netdev other c: tcp dport 80 drop drops it",
		},
		{
			name: "nftables, a policy", stops: true, severity: Broken, fix: "nft 'chain inet other c { policy accept; }'" + until,
			lines: "nft 'add table inet other; add chain inet other c { type filter hook prerouting priority mangle; policy drop; }; add rule inet other c iifname \"back\" accept'",
			want:  `^ipv4: service web \(192.0.2.10:80\) gets nothing: the policy of c in the nftables chain inet other c drops it`,
		},
		{
			name: "nftables, a policy for replies", stops: true, severity: Broken, fix: "nft 'chain inet other c { policy accept; }'" + until,
			lines: "nft 'add table inet other; add chain inet other c { type filter hook prerouting priority raw; policy drop; }; add rule inet other c iifname \"front\" accept'",
			want:  "^the nftables chain inet other c drops every balanced connection",
		},
		{
			name: "nftables, hidden", source: config.SNAT{Mode: config.None}, layout: netnstest.Layout{Gateway: true}, severity: Risk, fix: deleted,
			lines: native("nat hook postrouting priority srcnat", `oifname "back" masquerade`),
			want:  `^ipv4: backends of web do not see the client's address, although snat is "none": rule 1 of the nftables chain inet other c: oifname "back" masquerade translates it$`,
		},
		{
			name: "nftables, in a table of iptables", stops: true, severity: Broken, fix: "nft delete rule ip raw own handle [0-9]+" + until,
			lines: "nft 'add table ip raw; add chain ip raw own { type filter hook prerouting priority -300; }; add rule ip raw own tcp dport 80 notrack'",
			want:  gets + "the nftables chain ip raw own: tcp dport 80 notrack keeps it from being tracked",
		},
		{
			name: "nftables, what iptables cannot read", stops: true, severity: Broken, fix: "nft delete rule ip mangle PREROUTING handle [0-9]+" + until,
			lines: "iptables-nft -t mangle -A PREROUTING -p udp -j ACCEPT; nft 'add rule ip mangle PREROUTING ct state new tcp dport 80 fib daddr type local drop'",
			want:  gets[:len(gets)-len("1 of ")] + "2 of the nftables chain ip mangle PREROUTING: .* drops it",
		},
		{
			name: "nftables, what iptables shows in part", severity: Risk, fix: "iptables-nft -t mangle -D PREROUTING 1" + until,
			lines: "iptables-nft -t mangle -P PREROUTING ACCEPT; nft 'add set ip mangle bad { type ipv4_addr; elements = { 203.0.113.9 }; }; add rule ip mangle PREROUTING ip saddr @bad drop'",
			want:  `^ipv4: cannot tell whether rule 1 of PREROUTING of the mangle table \(nft\): .* \(iptables shows only a part of it\) drops what comes for service web`,
		},
	}
	return faults
}

// libvirtRules are what libvirt loads for a network behind the interface of the backends, here
// at the end of FORWARD.
const libvirtRules = `IPTABLES -N LIBVIRT_FWI; IPTABLES -A FORWARD -j LIBVIRT_FWI
IPTABLES -A LIBVIRT_FWI -d 10.0.0.0/24 -o back -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; IPTABLES -A LIBVIRT_FWI -o back -j REJECT
`

// othersAtBoot are services of others that take natspread's rules out, or put theirs first.
func othersAtBoot() []fault {
	const wants = "mkdir -p ROOT/etc/systemd/system/multi-user.target.wants; echo '[Service]' > ROOT/usr/lib/systemd/system/libvirtd.service; ln -s /usr/lib/systemd/system/libvirtd.service ROOT/etc/systemd/system/multi-user.target.wants/\n"
	const ufw = "mkdir -p ROOT/etc/ufw ROOT/etc/default; echo ENABLED=yes > ROOT/etc/ufw/ufw.conf\n"
	const init = `printf '%s\\n' '#!/bin/sh' '.*' > /etc/ufw/after.init && chmod 755 /etc/ufw/after.init`
	accepted := func(_ *testing.T, p *patient) { p.Balancer.Services[0].Forward = config.Accept }
	return []fault{
		{
			name: "libvirt, first after boot", variants: true, severity: AtBoot, change: accepted,
			lines: wants + "IPTABLES-restore --noflush <<'END'\n" + accepts + "END\n" + libvirtRules,
			want:  `^ipv4: libvirt puts its rules first when it starts, or starts a network, and then refuses connections of web to 10.0.0.1:80: rule 2 of LIBVIRT_FWI of the filter table \((nft|legacy)\): -A LIBVIRT_FWI -o back -j REJECT`,
			fix:   "mkdir -p /etc/libvirt/hooks/network.d && .* && mkdir -p /etc/systemd/system/libvirtd.service.d && .*",
		},
		{
			name: "ufw flushes nat", severity: Risk, fix: init,
			lines: ufw + `printf '*filter\n-F\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n-F\n-A POSTROUTING -s 10.8.0.0/24 -o front -j MASQUERADE\nCOMMIT\n' > ROOT/etc/ufw/before.rules`,
			want:  "^/etc/ufw/before.rules:6 empties the nat table at each ufw reload, and nothing loads natspread's rules again$",
		},
		{
			name: "ufw flushes a chain", severity: Risk, fix: init,
			lines: ufw + `printf '*nat\n-F POSTROUTING\nCOMMIT\n' > ROOT/etc/ufw/before6.rules`,
			want:  "^/etc/ufw/before6.rules:2 empties the nat table at each ufw reload",
		},
		{
			name: "ufw manages the built-in chains", severity: Risk, fix: init,
			lines: ufw + "echo MANAGE_BUILTINS=yes > ROOT/etc/default/ufw",
			want:  "^MANAGE_BUILTINS=yes in /etc/default/ufw empties the nat table at each ufw reload",
		},
		{
			name: "ufw has an after.init", severity: Risk, lines: ufw + "echo MANAGE_BUILTINS=yes > ROOT/etc/default/ufw; printf '#!/bin/sh\\nexit 0\\n' > ROOT/etc/ufw/after.init; chmod 755 ROOT/etc/ufw/after.init",
			want: "and nothing loads natspread's rules again: add to /etc/ufw/after.init: ", again: func(t *testing.T, p *patient, _ string) { p.sh(t, "echo natspread restore >> "+p.Live.Root+afterInit) },
		},
	}
}

// TestUnreached names all rules that natspread's come before, those of a share too, and only those that
// would take a listen address. The lines take them out, except where a rule may serve others.
func TestUnreached(t *testing.T) {
	onEach(t, "behind", true, func(t *testing.T, variant string) {
		p := newPatient(t, variant, netnstest.Layout{}, config.SNAT{})
		p.sh(t, strings.ReplaceAll(`IPTABLES -t nat -A PREROUTING -d 192.0.2.10 -p tcp --dport 80 -m statistic --mode random --probability 0.25 -j DNAT --to 10.0.0.2:80
IPTABLES -t nat -A PREROUTING -d 192.0.2.10 -p tcp --dport 80 -m statistic --mode nth --every 4 --packet 1 -j DNAT --to 10.0.0.3:80
IPTABLES -t nat -A PREROUTING -s 198.51.100.0/24 -p tcp -j REDIRECT --to-ports 3128
IPTABLES -t nat -A PREROUTING -d 192.0.2.10 -p tcp --dport 80 -j DNAT --to 10.0.0.4:80
IPTABLES -t nat -A PREROUTING -d 192.0.2.10 -p tcp --dport 81 -j DNAT --to 10.0.0.4:80
IPTABLES -t nat -A POSTROUTING -j MASQUERADE`, "IPTABLES", netnstest.Programs(variant, 4).Iptables))
		p.examine(t)
		if !p.answers(t, hurry) {
			t.Error("clients are not answered")
		}
		var way Way
		p.Network.Balancer.Do(t, func() { way = p.Live.Way(p.Balancer) })
		wantFindings(t, way.Found)
		behind := func(n int, text string) string {
			return fmt.Sprintf("risk: ipv4: what comes for service web (192.0.2.10:80) no longer reaches rule %d of PREROUTING of the nat table (%s): -A PREROUTING %s", n, variant, text)
		}
		const to = "-d 192.0.2.10/32 -p tcp -m tcp --dport 80 "
		wantFindings(t, way.Unreached, behind(2, to+"-m statistic --mode random --probability 0.25000000000 -j DNAT --to-destination 10.0.0.2:80"),
			behind(3, to+"-m statistic --mode nth --every 4 --packet 1 -j DNAT --to-destination 10.0.0.3:80"), behind(4, "-s 198.51.100.0/24 -p tcp -j REDIRECT --to-ports 3128"), behind(5, to+"-j DNAT --to-destination 10.0.0.4:80"))
		for _, one := range way.Unreached {
			if one.Fix != "" {
				p.sh(t, one.Fix)
			}
		}
		p.examine(t)
		p.Network.Balancer.Do(t, func() { way = p.Live.Way(p.Balancer) })
		wantFindings(t, way.Unreached, behind(2, "-s 198.51.100.0/24 -p tcp -j REDIRECT --to-ports 3128"))
	})
}
