package report

import (
	"os"
	"strings"
	"testing"
	"time"

	"natspread/internal/configfiles"
	"natspread/internal/health"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// fault is something that is made of a host to which the config was applied.
type fault struct {
	name    string
	never   bool          // nothing is applied before
	only    rules.Variant // that the fault can be made with; "" for both
	make    func(t *testing.T, s *scene)
	lines   string // typed after that
	state   State
	want    []string // what status finds: how "severity: what" begins, and after -> the whole fix
	remain  int      // how many things apply would note of what is loaded
	edited  bool     // the config file was, so diff differs whatever the host is
	refuses bool     // apply does
	ends    State    // what it is after all fixes; in sync if not given
}

// after returns the state after all fixes.
func (f fault) after() State {
	if f.ends == "" {
		return InSync
	}
	return f.ends
}

// faults lists the faults, and what is none.
func faults() []fault {
	all := append(tableFaults(), passingFaults()...)
	all = append(all, pathFaults()...)
	all = append(all, bootFaults()...)
	all = append(all, healthFaults()...)
	return append(all, pendingFaults()...)
}

// tableFaults are in the tables.
func tableFaults() []fault {
	restored := func(name, lines, want string) fault {
		return fault{name: name, lines: lines, state: Drift, want: []string{"broken: " + want + " -> natspread restore"}}
	}
	return []fault{
		{name: "none", state: InSync},
		restored("rule changed", "IPTABLES -t nat -R NATSPREAD-plain 1 -j RETURN", "ipv4: chain NATSPREAD-plain has rule 1 changed"),
		restored("rule gone", "IPTABLES -t nat -D NATSPREAD-web 1", "ipv4: chain NATSPREAD-web lacks rule 1"),
		restored("jump removed", "IPTABLES -t nat -D PREROUTING -j NATSPREAD-PRE", "ipv4: the jump in PREROUTING is missing"),
		restored("jump doubled", "IPTABLES -t nat -A PREROUTING -j NATSPREAD-PRE", "ipv4: the jump in PREROUTING is doubled"),
		restored("jump behind a foreign rule", "IPTABLES -t nat -I PREROUTING -p tcp --dport 1234 -j RETURN", "ipv4: the jump in PREROUTING is rule 2"),
		restored("jump of FORWARD before a ban", "IPTABLES -A FORWARD -s 203.0.113.9 -j DROP", "ipv4: the jump in FORWARD is rule 1, and belongs at place 2"),
		restored("chain of FORWARD changed", "IPTABLES -A NATSPREAD-FORWARD -p udp -j ACCEPT", "ipv4 filter: chain NATSPREAD-FORWARD has rule 2, which should not be there"),
		restored("jump of IPv6 removed", "IP6TABLES -t nat -D POSTROUTING -j NATSPREAD-POST", "ipv6: the jump in POSTROUTING is missing"),
		{
			name: "both variants", lines: "IPTABLES-save -t nat | OTHER-restore", state: Drift,
			want: []string{"broken: ipv4: the OTHER variant holds rules of natspread, too: packets meet both -> natspread apply"},
		},
		{
			name: "the variant was changed", make: useOther, state: NotLoaded,
			want: []string{
				"broken: generation 1 is not loaded: -> natspread restore",
				"broken: ipv4: the OTHER variant of iptables holds rules of natspread, and VARIANT is in use -> natspread apply",
				"broken: ipv6: the OTHER variant of iptables holds rules of natspread, and VARIANT is in use -> natspread apply",
				"risk: generation 1 was made for the OTHER variant of iptables, and boot will load it by VARIANT -> natspread apply",
			},
		},
		{
			name: "only the other variant", lines: "IPTABLES-save -t nat | OTHER-restore\nIPTABLES -t nat -F; IPTABLES -t nat -X\nIP6TABLES -t nat -F; IP6TABLES -t nat -X\nIPTABLES -F; IPTABLES -X", state: NotLoaded,
			want: []string{
				"broken: generation 1 is not loaded: -> natspread restore",
				"broken: ipv4: the OTHER variant of iptables holds rules of natspread, and VARIANT is in use -> natspread apply",
			},
		},
		{
			name: "not loaded", make: stop, state: NotLoaded,
			want: []string{"broken: generation 1 is not loaded: -> natspread restore"},
		},
		{
			name: "all jumps removed", state: NotLoaded,
			lines: "for chain in PREROUTING OUTPUT POSTROUTING; do IPTABLES -t nat -F $chain; IP6TABLES -t nat -F $chain; done; IPTABLES -F FORWARD",
			want:  []string{"broken: generation 1 is not loaded: -> natspread restore"},
		},
		{
			name: "nothing applied", never: true, state: NotLoaded, ends: NotLoaded,
			want: []string{"risk: nothing was applied yet, so nothing is balanced, and boot loads nothing -> natspread apply"},
		},
		{
			name: "nothing applied, and rules are left over", state: Drift, ends: NotLoaded,
			lines: "rm -r ROOT/var/lib/natspread; for chain in PREROUTING OUTPUT POSTROUTING; do IP6TABLES -t nat -F $chain; done; IP6TABLES -t nat -F; IP6TABLES -t nat -X; IPTABLES -F; IPTABLES -X",
			want: []string{
				"broken: ipv4: the jump in PREROUTING is left over -> natspread stop", "broken: ipv4: the jump in OUTPUT is left over -> natspread stop", "broken: ipv4: the jump in POSTROUTING is left over -> natspread stop",
				"broken: ipv4: chain NATSPREAD-OUT is left over -> natspread stop", "broken: ipv4: chain NATSPREAD-POST is left over -> natspread stop", "broken: ipv4: chain NATSPREAD-PRE is left over -> natspread stop",
				"broken: ipv4: chain NATSPREAD-plain is left over -> natspread stop", "broken: ipv4: chain NATSPREAD-web is left over -> natspread stop",
				"risk: nothing was applied yet -> natspread apply",
			},
		},
		{name: "the config was edited", make: func(_ *testing.T, s *scene) { s.config = smaller }, state: InSync, edited: true},
		{name: "words of the config were edited", make: func(_ *testing.T, s *scene) { s.config = "# Three, for now.\n" + balanced }, state: InSync},
		{name: "a generation of natspread 0.1", never: true, make: oldGeneration, state: InSync},
		{name: "a generation from an image", never: true, make: offline, state: InSync},
	}
}

// useOther makes the other variant of iptables the one in use.
func useOther(_ *testing.T, s *scene) {
	s.variant = s.variant.Other()
	s.host.Restore.Variant = s.variant
}

// stop takes natspread's rules out.
func stop(t *testing.T, s *scene) {
	t.Helper()
	if _, err := s.host.Restore.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// load loads what boot loads.
func load(t *testing.T, s *scene) {
	t.Helper()
	if _, err := s.host.Restore.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// oldGeneration writes and loads a generation as natspread 0.1 did: its jumps have a
// comment, and no file says what it balances.
func oldGeneration(t *testing.T, s *scene) {
	t.Helper()
	old := generation.Generation{
		Tables: s.plan(t).Tables, Config: configfiles.Alone("natspread.toml", []byte(s.config)),
		Manifest: generation.Manifest{Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "apply", Version: "0.1", Variant: s.variant, Proven: true},
	}
	for _, table := range old.Tables.Places() {
		table.CommentedJumps = true
	}
	number, err := s.store().Write(old)
	if err == nil {
		err = s.store().SetCurrent(number)
	}
	if err != nil {
		t.Fatal(err)
	}
	load(t, s)
	if saved := s.sh(t, "IPTABLES-save -t nat"); !strings.Contains(saved, "--comment") {
		t.Fatalf("the jumps have no comment:\n%s", saved)
	}
}

// offline writes a generation as into an image, which nobody proved, and loads it.
func offline(t *testing.T, s *scene) {
	t.Helper()
	if _, err := s.host.Restore.WriteOffline(t.Context(), s.plan(t).Request("install"), s.variant); err != nil {
		t.Fatal(err)
	}
	load(t, s)
}

// passingFaults keep connections from passing although the tables are right.
func passingFaults() []fault {
	const accept = "-I FORWARD -m conntrack --ctstate DNAT -j ACCEPT # until the next boot; for good: forward = \"accept\" in service plain, then: natspread apply"
	dropped := func(name, lines, by string) fault {
		return fault{name: name, lines: lines, state: Impaired, remain: 1, want: []string{"broken: ipv4: connections of plain to 10.0.0.1:81 are dropped by the VARIANT variant: " + by + " -> iptables-VARIANT " + accept}}
	}
	return []fault{
		{
			name: "interface of clients off", lines: "echo 0 > /proc/sys/net/ipv4/conf/front/forwarding", state: Impaired, remain: 1,
			want: []string{"broken: ipv4: net.ipv4.conf.front.forwarding is 0, so what comes in by front is not forwarded -> sysctl -w net.ipv4.conf.front.forwarding=1"},
		},
		{
			name: "interface of backends off", lines: "echo 0 > /proc/sys/net/ipv4/conf/back/forwarding", state: Impaired, remain: 1,
			want: []string{"broken: ipv4: net.ipv4.conf.back.forwarding is 0, so what comes in by back is not forwarded -> sysctl -w net.ipv4.conf.back.forwarding=1"},
		},
		{
			name: "ip_forward off", lines: "echo 0 > /proc/sys/net/ipv4/ip_forward", state: Impaired, remain: 1,
			want: []string{"broken: ipv4: net.ipv4.ip_forward is not 1, so nothing is forwarded -> natspread apply"},
		},
		{
			name: "IPv6 forwarding off", lines: "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding", state: Impaired, remain: 1,
			want: []string{"broken: ipv6: net.ipv6.conf.all.forwarding is not 1, so nothing is forwarded -> natspread apply"},
		},
		dropped("policy of FORWARD", "IPTABLES -P FORWARD DROP", "the policy of FORWARD"),
		dropped("rule of FORWARD", "IPTABLES -I FORWARD -p tcp -m tcp --dport 81 -j DROP", "-A FORWARD -p tcp -m tcp --dport 81 -j DROP"),
		{
			name: "own rules of FORWARD are gone, and it drops", lines: "IPTABLES -A FORWARD -p tcp -m tcp --dport 80 -j DROP; IPTABLES -F NATSPREAD-FORWARD", state: Drift, remain: 1,
			want: []string{
				"broken: ipv4 filter: chain NATSPREAD-FORWARD is empty -> natspread restore",
				"broken: ipv4: connections of web to 10.0.0.1:80, 10.0.0.2:80 are dropped by the VARIANT variant: -A FORWARD -p tcp -m tcp --dport 80 -j DROP -> natspread apply",
			},
		},
		{
			name: "no route", lines: "ip route del 10.0.0.0/24 dev back", state: Impaired, remain: 2,
			want: []string{
				"broken: no route leads to backend 10.0.0.1 of web, plain, although it is beside back -> ip route add 10.0.0.0/24 dev back",
				"broken: no route leads to backend 10.0.0.2 of web, although it is beside back -> ip route add 10.0.0.0/24 dev back",
			},
		},
		{
			name: "the address of snat is gone", state: Impaired, remain: 1, make: edit(`snat = "10.0.0.253"`), lines: "ip address del 10.0.0.253/24 dev back",
			want: []string{`broken: 10.0.0.253, snat of plain, is on no interface: answers of the backends are sent there and lost -> natspread edit # in service plain: snat = "masquerade"`},
		},
		{
			name: "one of several sources is gone", state: Impaired, remain: 1, make: edit(`snat = ["10.0.0.253", "10.0.0.254"]`), lines: "ip address del 10.0.0.253/24 dev back",
			want: []string{`broken: 10.0.0.253, snat of plain, is on no interface: answers of the backends are sent there and lost -> natspread edit # in service plain: snat = ["10.0.0.254"]`},
		},
		{
			name: "interface of a bridge", state: Impaired, remain: 1, make: edit(`interface = "front"`),
			// A bridge that looks after multicast sends packets of its own, which rules count.
			lines: "ip link add br0 type bridge mcast_snooping 0; ip link set br0 up; ip link set front master br0; ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.10/24 dev br0",
			want:  []string{`broken: service plain: front is a part of the bridge br0, by whose name its packets come in: nothing is balanced -> natspread edit # in service plain: interface = "br0"`},
		},
		{
			name: "other interface off", state: InSync,
			lines: "ip link add mgmt type veth peer name far; ip address add 203.0.113.1/24 dev mgmt; ip link set mgmt up; echo 0 > /proc/sys/net/ipv4/conf/mgmt/forwarding",
		},
	}
}

// pathFaults are rules of others, and hooks of nft's own, that packets meet before
// natspread's, after them or instead of them.
func pathFaults() []fault {
	const until = " # until what made it makes it again: take it out there, too"
	const gets = "broken: ipv4: service web (192.0.2.10:80) gets nothing: rule 1 of "
	const both = "broken: ipv4: services web, plain (192.0.2.10:80, 192.0.2.10:81) gets nothing: rule 1 of "
	impaired := func(name, lines, want string) fault {
		return fault{name: name, lines: lines, state: Impaired, remain: 1, want: []string{want}}
	}
	native := func(name, kind, rule, want string) fault {
		return impaired(name, "nft 'add table inet other; add chain inet other c { type "+kind+"; }; add rule inet other c "+rule+"'", want+" -> nft delete rule inet other c handle 2"+until)
	}
	dormant := impaired("dormant", "nft 'add table ip nat { flags dormant; }'", "broken: ipv4: the nftables table ip nat is dormant: the kernel runs none of its rules, so nothing is balanced -> nft add table ip nat")
	dormant.only = rules.NFT
	return []fault{
		dormant,
		{
			name: "a rule takes it", state: Drift, lines: "IPTABLES -t nat -I PREROUTING -d 192.0.2.10 -p tcp --dport 80 -j DNAT --to 10.0.0.4:80", remain: 1,
			want: []string{
				"broken: ipv4: the jump in PREROUTING is rule 2 -> natspread restore",
				gets + "PREROUTING of the nat table (VARIANT): -A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.4:80 takes it -> natspread apply",
			},
		},
		{
			name: "a rule of the other variant may take it", state: InSync, lines: "OTHER -t nat -A PREROUTING -d 192.0.2.10 -p tcp --dport 80 -j DNAT --to 10.0.0.4:80",
			want: []string{"risk: ipv4: rule 1 of PREROUTING of the nat table (OTHER): -A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.4:80 may take what comes for service web (192.0.2.10:80) -> " +
				"iptables-OTHER -t nat -D PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.4:80" + until},
		},
		impaired("untracked", "IPTABLES -t raw -I PREROUTING -p tcp --dport 80 -j CT --notrack",
			gets+"PREROUTING of the raw table (VARIANT): -A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack keeps it from being tracked -> iptables-VARIANT -t raw -D PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack"+until),
		impaired("untracked by the other variant", "OTHER -t raw -I PREROUTING -p tcp --dport 80 -j CT --notrack",
			gets+"PREROUTING of the raw table (OTHER): -A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack keeps it from being tracked -> iptables-OTHER -t raw -D PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack"+until),
		impaired("a zone", "IPTABLES -t raw -I PREROUTING -i front -j CT --zone 1",
			"broken: ipv4: replies of backends of web, plain are not translated back: rule 1 of PREROUTING of the raw table (VARIANT): -A PREROUTING -i front -j CT --zone 1 puts packets -> iptables-VARIANT -t raw -D PREROUTING -i front -j CT --zone 1"+until),
		impaired("dropped in mangle", "IPTABLES -t mangle -A PREROUTING -p tcp --dport 80 -j DROP",
			gets+"PREROUTING of the mangle table (VARIANT): -A PREROUTING -p tcp -m tcp --dport 80 -j DROP drops it -> iptables-VARIANT -t mangle -D PREROUTING -p tcp -m tcp --dport 80 -j DROP"+until),
		native("nftables, untracked", "filter hook prerouting priority raw", "ip daddr 192.0.2.10 notrack", strings.Replace(both, "gets", "get", 1)+"the nftables chain inet other c: ip daddr 192.0.2.10 notrack keeps it from being tracked"),
		native("nftables, takes it", "nat hook prerouting priority -101", "ip daddr 192.0.2.10 tcp dport 80 redirect to :81", gets+"the nftables chain inet other c: ip daddr 192.0.2.10 tcp dport 80 redirect to :81 takes it"),
		native("nftables, drops in FORWARD", "filter hook forward priority filter", "tcp dport 81 drop", "broken: ipv4: connections of plain to 10.0.0.1:81 are dropped, also with forward = \"accept\": rule 1 of the nftables chain inet other c: tcp dport 81 drop"),
		{
			name: "of its own connections", state: InSync, lines: "IPTABLES -t mangle -A OUTPUT -d 192.0.2.10 -p tcp --dport 80 -j DROP",
			want: []string{"risk: ipv4: connections that this host itself makes to service web (192.0.2.10:80) are dropped: rule 1 of OUTPUT of the mangle table (VARIANT): -> iptables-VARIANT -t mangle -D OUTPUT -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DROP" + until},
		},
	}
}

// edit gives the service plain a line, and applies that.
func edit(line string) func(*testing.T, *scene) {
	return func(t *testing.T, s *scene) {
		t.Helper()
		s.sh(t, "ip address add 10.0.0.253/24 dev back")
		s.config = strings.Replace(balanced, "name = \"plain\"\n", "name = \"plain\"\n"+line+"\n", 1)
		s.apply(t)
	}
}

// damage cuts a file of a generation short.
func damage(t *testing.T, s *scene, number, file string) {
	t.Helper()
	if err := os.Truncate(s.store().Path("var/lib/natspread/generations", number, file), 20); err != nil {
		t.Fatal(err)
	}
}

// bootFaults are in what boot loads.
func bootFaults() []fault {
	return []fault{
		{
			name: "current damaged, an older one is as good", state: Impaired,
			make: func(t *testing.T, s *scene) {
				s.config = "# Three, for now.\n" + balanced
				s.apply(t)
				damage(t, s, "2", "rules.v4")
			},
			want: []string{"at boot: generation 2 is not good: -> natspread apply"},
		},
		{
			name: "current damaged, an older one is another", state: Drift,
			make: func(t *testing.T, s *scene) {
				s.config = smaller
				s.apply(t)
				damage(t, s, "2", "rules.v4")
			},
			want: []string{
				"broken: ipv4: chain NATSPREAD-web lacks rule 1: -> natspread apply", "broken: ipv4: chain NATSPREAD-web lacks rule 2: -> natspread apply",
				"broken: ipv4: chain NATSPREAD-web has rule 1, which should not be there: -> natspread apply",
				"broken: ipv4 filter: chain NATSPREAD-FORWARD has rule 1 changed: -> natspread apply",
				"broken: ipv4 filter: chain NATSPREAD-RELATED lacks rule 3: -> natspread apply",
				"broken: ipv4 filter: chain NATSPREAD-RELATED lacks rule 4: -> natspread apply",
				"broken: ipv4 filter: chain NATSPREAD-web is missing -> natspread apply",
				"at boot: generation 2 is not good: -> natspread apply",
			},
		},
		{
			name: "no generation is good", state: Impaired,
			make: func(t *testing.T, s *scene) { damage(t, s, "1", "manifest") },
			want: []string{"at boot: no good generation is left: generation 1 is not good: -> natspread apply"},
		},
		{
			name: "no generation is good, and nothing is loaded", state: NotLoaded,
			make: func(t *testing.T, s *scene) {
				stop(t, s)
				damage(t, s, "1", "manifest")
			},
			want: []string{"at boot: no good generation is left: generation 1 is not good: -> natspread apply"},
		},
		{
			name: "current leads nowhere", state: Impaired, lines: "ln -sfn generations/none ROOT/var/lib/natspread/current",
			want: []string{"at boot: ROOT/var/lib/natspread/current leads to -> natspread apply"},
		},
		{
			name: "everybody may change the manifest", state: Impaired, remain: 1, lines: "chmod 666 ROOT/var/lib/natspread/generations/1/manifest",
			want: []string{"at boot: ROOT/var/lib/natspread/generations/1/manifest may be changed by its group or by others: boot will not load it -> chmod go-w ROOT/var/lib/natspread/generations/1/manifest"},
		},
		{
			name: "everybody may add generations", state: Impaired, remain: 1, refuses: true, lines: "chmod 777 ROOT/var/lib/natspread/generations",
			want: []string{"at boot: ROOT/var/lib/natspread/generations may be changed by its group or by others: boot will not load it -> chmod go-w ROOT/var/lib/natspread/generations"},
		},
	}
}

// healthFaults are of those who check the backends.
func healthFaults() []fault {
	check := func(then func(*testing.T, *scene)) func(*testing.T, *scene) {
		return func(t *testing.T, s *scene) {
			t.Helper()
			s.config = strings.Replace(balanced, "name = \"plain\"\n", "name = \"plain\"\ncheck = \"tcp\"\n", 1)
			s.watch(t)
			s.apply(t)
			if then != nil {
				then(t, s)
			}
		}
	}
	return []fault{
		{name: "backends are checked", make: check(nil), state: InSync},
		{
			name: "nobody checks the backends", state: Impaired, remain: 1,
			make: check(func(_ *testing.T, s *scene) { s.stopWatching() }),
			want: []string{"broken: health checks do not run since -> systemctl enable --now natspread-health"},
		},
		{
			name: "nobody ever checked them", state: Impaired, remain: 1, lines: "rm ROOT/run/natspread/health.json",
			make: check(func(_ *testing.T, s *scene) { s.stopWatching() }),
			want: []string{"broken: health checks are configured, but natspread health does not run -> systemctl enable --now natspread-health"},
		},
		{
			name: "what checks them hangs", state: Impaired, remain: 1,
			make: check(func(t *testing.T, s *scene) { s.beat(t, generation.SinceBoot()-2*health.MostBeatAge) }),
			want: []string{"broken: natspread health runs, but has not written its state since -> systemctl restart natspread-health"},
		},
		{
			name: "what it wrote was forged", state: InSync, lines: "chmod 666 ROOT/run/natspread/health.json", make: check(nil),
			want: []string{"risk: cannot tell what natspread health knows of the backends: cannot read ROOT/run/natspread/health.json: -> chmod go-w ROOT/run/natspread/health.json"},
		},
		{
			name: "what it wrote is of another namespace", state: Impaired, remain: 1, lines: "sed -i 's/\"namespace\":\"[^\"]*\"/\"namespace\":\"x\"/' ROOT/run/natspread/health.json",
			make: check(func(_ *testing.T, s *scene) { s.stopWatching() }),
			want: []string{"broken: health checks are configured, but natspread health does not run -> systemctl enable --now natspread-health", "risk: cannot tell what natspread health knows of the backends: cannot use the record of health checks: it is of another boot or network namespace -> "},
		},
	}
}

// pendingFaults are with a generation that waits to be confirmed.
func pendingFaults() []fault {
	try := func(text string, left time.Duration) func(*testing.T, *scene) {
		return func(t *testing.T, s *scene) { s.try(t, text, left) }
	}
	refused := "broken: apply, confirm and rollback refuse: cannot tell which generation waits to be confirmed: "
	return []fault{
		{name: "pending", make: try(smaller, time.Hour), state: InSync, refuses: true},
		{name: "pending, the first ever", never: true, make: try(smaller, time.Hour), state: InSync, refuses: true},
		{
			name: "overdue", make: try(smaller, -time.Minute), state: Impaired, refuses: true, edited: true,
			want: []string{"broken: generation 2 is still loaded: it was not confirmed in time, and nothing reverted it -> natspread rollback"},
		},
		{
			name: "pending, jump removed", make: try(smaller, time.Hour), lines: "IPTABLES -t nat -D PREROUTING -j NATSPREAD-PRE", state: Drift, refuses: true, edited: true,
			want: []string{"broken: ipv4: the jump in PREROUTING is missing -> natspread rollback"},
		},
		{
			name: "pending, the first ever, jump removed", never: true, make: try(smaller, time.Hour), lines: "IPTABLES -t nat -D PREROUTING -j NATSPREAD-PRE", state: Drift, refuses: true, ends: NotLoaded,
			want: []string{"broken: ipv4: the jump in PREROUTING is missing -> natspread rollback"},
		},
		{
			name: "pending, ip_forward off", make: try(smaller, time.Hour), lines: "echo 0 > /proc/sys/net/ipv4/ip_forward", state: Impaired, remain: 1, refuses: true, edited: true,
			want: []string{"broken: ipv4: net.ipv4.ip_forward is not 1, so nothing is forwarded -> natspread rollback && natspread restore"},
		},
		{
			name: "pending, both variants", make: try(smaller, time.Hour), lines: "IPTABLES-save -t nat | OTHER-restore", state: Drift, refuses: true, edited: true,
			want: []string{"broken: ipv4: the OTHER variant holds rules of natspread, too: packets meet both -> natspread rollback"},
		},
		{
			name: "pending, its files damaged", make: try(smaller, time.Hour), lines: "echo > ROOT/var/lib/natspread/generations/.unconfirmed-2/manifest", state: Impaired, refuses: true, edited: true,
			want: []string{"broken: generation 2 waits to be confirmed, but its files are not good, so confirm refuses -> natspread rollback"},
		},
		{
			name: "pending, current damaged", make: func(t *testing.T, s *scene) {
				s.try(t, smaller, time.Hour)
				damage(t, s, "1", "manifest")
			}, state: Impaired, refuses: true,
			want: []string{"at boot: no good generation is left: generation 1 is not good: -> natspread confirm"},
		},
		{
			name: "record unreadable", make: try("# Three, for now.\n"+balanced, time.Hour), lines: "echo { > ROOT/run/natspread/pending", state: Impaired, refuses: true,
			want: []string{refused + " -> natspread restore"},
		},
		{
			name: "record unreadable, and its rules loaded", make: try(smaller, time.Hour), lines: "echo { > ROOT/run/natspread/pending", state: Drift, refuses: true, edited: true,
			want: []string{
				refused + " -> natspread restore", "broken: ipv4: chain NATSPREAD-web lacks rule 1: -> natspread restore", "broken: ipv4: chain NATSPREAD-web lacks rule 2: -> natspread restore",
				"broken: ipv4: chain NATSPREAD-web has rule 1, which should not be there: -> natspread restore",
				"broken: ipv4 filter: chain NATSPREAD-FORWARD has rule 1 changed: -> natspread restore",
				"broken: ipv4 filter: chain NATSPREAD-RELATED lacks rule 3: -> natspread restore",
				"broken: ipv4 filter: chain NATSPREAD-RELATED lacks rule 4: -> natspread restore",
				"broken: ipv4 filter: chain NATSPREAD-web is missing -> natspread restore",
			},
		},
		{
			name: "record unreadable, and nothing was applied", never: true, lines: "mkdir -p ROOT/run/natspread; chmod 700 ROOT/run/natspread; echo { > ROOT/run/natspread/pending", state: NotLoaded, refuses: true, ends: NotLoaded,
			want: []string{refused + " -> natspread stop", "risk: nothing was applied yet -> natspread apply"},
		},
		{
			name: "record unreadable, and no generation is good", make: func(t *testing.T, s *scene) { damage(t, s, "1", "manifest") }, lines: "echo { > ROOT/run/natspread/pending", state: Impaired, refuses: true,
			want: []string{refused + " -> rm /run/natspread/pending", "at boot: no good generation is left: generation 1 is not good: -> natspread apply"},
		},
	}
}
