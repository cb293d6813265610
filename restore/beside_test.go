package restore_test

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore"
)

// foreign4 is what Docker, kube-proxy, libvirt, fail2ban and people leave in a
// nat table, with counters, and with texts that look like natspread's.
const foreign4 = `*nat
:PREROUTING ACCEPT [12:720]
:INPUT ACCEPT [3:180]
:OUTPUT ACCEPT [7:420]
:POSTROUTING ACCEPT [9:540]
:DOCKER - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SEP-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-SERVICES - [0:0]
:LIBVIRT_PRT - [0:0]
:f2b-sshd - [0:0]
:NATSPREADER - [0:0]
[5:300] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[6:360] -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
[7:420] -A PREROUTING -i eth0 -p tcp -m tcp --dport 22 -j f2b-sshd
[8:480] -A PREROUTING -p tcp -m tcp --dport 99 -m comment --comment "was -j NATSPREAD-PRE once" -j RETURN
[1:60] -A PREROUTING -p tcp -m tcp --dport 98 -m comment --comment "\"-j NATSPREAD-PRE" -j LOG --log-prefix "-j NATSPREAD-PRE "
[2:61] -A PREROUTING -p tcp -m tcp --dport 97 -j NATSPREADER
[3:62] -A PREROUTING -p tcp -m tcp --dport 97
[1:52] -A INPUT -m comment --comment natspread -j RETURN
[9:540] -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
[9:541] -A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
[4:240] -A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
[2:120] -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
[3:181] -A POSTROUTING -j LIBVIRT_PRT
[0:0] -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT --to-source 198.51.100.7
[10:600] -A DOCKER -i docker0 -j RETURN
[11:660] -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
[1:100] -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
[1:101] -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
[1:102] -A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
[1:103] -A KUBE-SEP-ABCDEFGHIJKLMNOP -p tcp -m comment --comment "default/web" -m tcp -j DNAT --to-destination 10.244.0.5:80
[1:104] -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/web cluster IP" -m tcp --dport 443 -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-ABCDEFGHIJKLMNOP
[1:105] -A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535
[1:106] -A f2b-sshd -s 203.0.113.9/32 -p tcp -j REDIRECT --to-ports 2222
[1:107] -A f2b-sshd -j RETURN
[1:108] -A NATSPREADER -j RETURN
COMMIT
`

// foreign6 is the same for IPv6, shorter.
const foreign6 = `*nat
:PREROUTING ACCEPT [12:720]
:INPUT ACCEPT [3:180]
:OUTPUT ACCEPT [7:420]
:POSTROUTING ACCEPT [9:540]
:DOCKER - [0:0]
[5:300] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[8:480] -A PREROUTING -p tcp -m tcp --dport 99 -m comment --comment "was -j NATSPREAD-PRE once" -j RETURN
[9:540] -A OUTPUT ! -d ::1/128 -m addrtype --dst-type LOCAL -j DOCKER
[2:120] -A POSTROUTING -s fd00:17::/64 ! -o docker0 -j MASQUERADE
[11:660] -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:17::2]:80
COMMIT
`

// foreign returns a family's foreign rules.
func foreign(f rules.Family) string {
	if f == rules.IPv6 {
		return foreign6
	}
	return foreign4
}

// putForeign loads the foreign rules of both families with their counters.
func putForeign(t *testing.T, variant rules.Variant) {
	t.Helper()
	for _, f := range rules.Families() {
		hosttest.Put(t, variant, f, whole(variant, foreign(f)), "-c")
	}
}

// whole returns a nat table with all that a variant takes in it: nft also a policy,
// which legacy refuses there.
func whole(variant rules.Variant, table string) string {
	if variant == rules.NFT {
		return strings.Replace(table, ":INPUT ACCEPT", ":INPUT DROP", 1)
	}
	return table
}

// own are the lines of a saved table that are natspread's: its chains, their
// rules, and whatever in a built-in chain leads there.
var own = regexp.MustCompile(`(?m)^(:NATSPREAD-.*|(\[\d+:\d+\] )?-A (NATSPREAD-|(PREROUTING|INPUT|OUTPUT|POSTROUTING) (.* )?-[jg] NATSPREAD-\S+$).*)\n`)

// others returns both families' tables without natspread's part, with counters.
func others(t *testing.T, variant rules.Variant) string {
	t.Helper()
	return own.ReplaceAllString(hosttest.Everything(t, variant), "")
}

// TestForeignRulesStay applies one config after another beside foreign rules, in a
// table that holds some of everybody's, and in each neighbour's own.
func TestForeignRulesStay(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		t.Run("everybody", func(t *testing.T) {
			stays(t, variant, func(f rules.Family) string { return whole(variant, foreign(f)) })
		})
		for _, neighbour := range neighbours(t) {
			t.Run(neighbour.name, func(t *testing.T) {
				stays(t, variant, func(f rules.Family) string { return neighbour.rules[f] })
			})
		}
	})
}

// neighbour is a story of testdata/neighbours: what another program leaves in the tables.
type neighbour struct {
	name  string
	rules [2]string // by family, as iptables-save -c prints them
}

// neighbours returns the stories.
func neighbours(t *testing.T) []neighbour {
	t.Helper()
	paths, err := filepath.Glob("../testdata/neighbours/*.txtar")
	hosttest.Must(t, err)
	var found []neighbour
	for _, path := range paths {
		story, err := txtar.ParseFile(path)
		hosttest.Must(t, err)
		if len(story.Files) != 2 || story.Files[0].Name != "rules.v4" || story.Files[1].Name != "rules.v6" {
			t.Fatalf("%s is not a rules.v4 and a rules.v6", path)
		}
		found = append(found, neighbour{
			name:  strings.TrimSuffix(filepath.Base(path), ".txtar"),
			rules: [2]string{string(story.Files[0].Data), string(story.Files[1].Data)},
		})
	}
	if len(found) < 5 {
		t.Errorf("only %d neighbours", len(found))
	}
	return found
}

// stays applies and stops beside foreign rules, all of them with their counters, and
// holds every table to them, to the byte.
func stays(t *testing.T, variant rules.Variant, foreign func(rules.Family) string) {
	t.Helper()
	host := newHost(t, variant)
	load := func() {
		for _, f := range rules.Families() {
			hosttest.Put(t, variant, f, foreign(f), "-c")
		}
	}
	load()
	before := others(t, variant)
	for _, f := range rules.Families() {
		for line := range strings.Lines(foreign(f)) {
			// ip6tables-nft-restore of iptables 1.8.9 leaves the counters of rules at zero.
			if _, rule, counted := strings.Cut(line, "] "); counted && line[0] == '[' && f == rules.IPv6 && variant == rules.NFT {
				line = rule
			}
			if strings.ContainsRune("[:-", rune(line[0])) && !strings.Contains(before, line) {
				t.Errorf("%v: the kernel holds no %s", f, line)
			}
		}
	}
	steps := []struct{ name, toml string }{
		{"load", hosttest.Article}, {"the same", hosttest.Article}, {"fewer backends", hosttest.Smaller},
		{"another service, no IPv6", hosttest.Alone}, {"back", hosttest.Article}, {"more", hosttest.Article + hosttest.Alone},
	}
	for _, step := range steps {
		apply(t, host, step.toml)
		hosttest.WantLoaded(t, variant, step.toml)
		hosttest.WantSame(t, "foreign rules at "+step.name, before, others(t, variant))
	}
	load() // the neighbour starts over, and takes natspread's part out with the rest
	result, err := host.Restore(t.Context())
	hosttest.Must(t, err)
	if !result.Loaded {
		t.Error("restore had nothing to load")
	}
	hosttest.WantLoaded(t, variant, steps[len(steps)-1].toml)
	hosttest.WantSame(t, "foreign rules at restore", before, others(t, variant))
	result, err = host.Stop(t.Context())
	hosttest.Must(t, err)
	if len(result.Notes) != 0 {
		t.Errorf("stop beside foreign rules warns: %q", result.Notes)
	}
	hosttest.WantSame(t, "the whole of it", before, hosttest.Everything(t, variant))
}

// TestStopInAnEmptyTable is the case in which stop has something to say.
func TestStopInAnEmptyTable(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		if result, err := host.Stop(t.Context()); err != nil || result.Changed || len(result.Notes) != 0 {
			t.Errorf("stop of nothing: %+v, %v", result, err)
		}
		apply(t, host, hosttest.Article)
		result, err := host.Stop(t.Context())
		if err != nil || !result.Changed || len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "connections that were still open end now") {
			t.Errorf("stop: %+v, %v", result, err)
		}
		if left := hosttest.SaveNAT(t, variant, rules.IPv4); strings.Contains(left, rules.Prefix) {
			t.Errorf("left:\n%s", left)
		}
	})
}

// TestJumps puts each jump in its place once, whatever somebody made of it.
func TestJumps(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeign(t, variant)
		apply(t, host, hosttest.Article)
		for _, c := range []struct {
			name  string
			lines []string
		}{
			{"doubled", []string{"-A PREROUTING -j NATSPREAD-PRE"}},
			{"three times", []string{
				"-I PREROUTING 2 -j NATSPREAD-PRE",
				"-A PREROUTING -j NATSPREAD-PRE",
			}},
			{"gone", []string{"-D PREROUTING 1"}},
			{"all gone", []string{"-D PREROUTING 1", "-D OUTPUT 1", "-D POSTROUTING 1"}},
			{"moved behind others", []string{"-D PREROUTING 1", "-A PREROUTING -j NATSPREAD-PRE"}},
			{"moved by one", []string{"-D POSTROUTING 1", "-I POSTROUTING 2 -j NATSPREAD-POST"}},
			{"somebody came first", []string{"-D OUTPUT 1", "-I OUTPUT 3 -j NATSPREAD-OUT"}},
			{"narrowed by hand", []string{"-R PREROUTING 1 -i eth0 -j NATSPREAD-PRE"}},
			{"another beside it", []string{"-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j NATSPREAD-PRE"}},
			{"goto", []string{"-R OUTPUT 1 -g NATSPREAD-OUT"}},
			{"goto and quotes", []string{`-A OUTPUT -m comment --comment a"-j\b -g NATSPREAD-OUT`}},
			{"straight to a service", []string{"-A PREROUTING -p tcp -m tcp --dport 81 -j NATSPREAD-web"}},
			{"in the wrong chain", []string{"-A INPUT -j NATSPREAD-POST"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				for _, line := range c.lines {
					hosttest.IPTables(t, variant, rules.IPv4, line)
				}
				before := others(t, variant)
				if result := apply(t, host, hosttest.Article); !result.Changed || !result.Loaded {
					t.Errorf("not mended: %+v", result)
				}
				wantJumpsFirst(t, variant)
				hosttest.WantSame(t, "foreign rules", before, others(t, variant))
			})
		}
	})
}

// wantJumpsFirst asks for each jump once, before all foreign rules.
func wantJumpsFirst(t *testing.T, variant rules.Variant) {
	t.Helper()
	hosttest.WantLoaded(t, variant, hosttest.Article)
	saved, err := rules.ParseSaved(rules.NAT, []byte(hosttest.SaveNAT(t, variant, rules.IPv4)))
	hosttest.Must(t, err)
	for _, name := range rules.NAT.BuiltIn() {
		chain, _ := saved.Chain(name)
		for i, rule := range chain.Rules {
			if rules.IsOwn(rule.JumpsTo()) && i != 0 {
				t.Errorf("%s: the jump stands at %d", name, i+1)
			}
		}
	}
}

// given is what a kernel was given under --noflush: the transactions.
type given struct{ texts []string }

// recorder returns a Runner that runs programs and notes the transactions.
func (g *given) recorder() program.Runner {
	run := program.Exec()
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		if slices.Contains(args, "--noflush") {
			g.texts = append(g.texts, string(stdin))
		}
		return run(ctx, stdin, name, args...)
	}
}

// TestInSyncGetsNothing also looks at natspread's own counters: a chain that is as
// it should be keeps them, and with them the turns of its nth matches.
func TestInSyncGetsNothing(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		var seen given
		host := newHost(t, variant)
		host.Run = seen.recorder()
		putForeign(t, variant)
		apply(t, host, hosttest.Article+hosttest.Alone)
		if len(seen.texts) != 2 {
			t.Errorf("%d transactions, want one a family", len(seen.texts))
		}
		for _, f := range rules.Families() { // as if connections had been balanced
			hosttest.Put(t, variant, f, strings.ReplaceAll(hosttest.SaveNAT(t, variant, f, "-c"), "[0:0] -A", "[7:420] -A"), "-c")
		}
		before := state(t, host)
		seen.texts = nil
		for _, again := range []func() (restore.Result, error){
			func() (restore.Result, error) {
				return host.Apply(t.Context(), request(t, hosttest.Article+hosttest.Alone))
			},
			func() (restore.Result, error) { return host.Restore(t.Context()) },
		} {
			if result, err := again(); err != nil || result.Changed || result.Loaded || result.Generation != 1 {
				t.Errorf("in sync: %+v, %v", result, err)
			}
			wantState(t, host, before)
		}
		if len(seen.texts) != 0 {
			t.Errorf("in sync, but the kernel was given %q", seen.texts)
		}
		apply(t, host, hosttest.Article+strings.Replace(hosttest.Alone, "10.0.0.2:53", "10.0.0.9:53", 1))
		if len(seen.texts) != 1 || strings.Contains(seen.texts[0], ":NATSPREAD-web ") || !strings.Contains(seen.texts[0], ":NATSPREAD-dns ") {
			t.Errorf("one backend of another service changed, and the kernel was given %q", seen.texts)
		}
		after := hosttest.SaveNAT(t, variant, rules.IPv4, "-c")
		for _, line := range strings.Split(before, "\n") {
			if strings.HasPrefix(line, "[7:420] -A") && !strings.Contains(line, "-A NATSPREAD-dns") && !strings.Contains(line, "fd00") &&
				!strings.Contains(line, "2001:db8") && !strings.Contains(after, line+"\n") {
				t.Errorf("counters were lost: no %s in\n%s", line, after)
			}
		}
	})
}

// wantHeld applies a config in vain, and wants the error to name the line that helps.
func wantHeld(t *testing.T, host restore.Host, toml, line string) {
	t.Helper()
	before := state(t, host)
	_, err := host.Apply(t.Context(), request(t, toml))
	wantUnchanged(t, host, before, err, nil)
	if err != nil && !strings.Contains(err.Error(), line) {
		t.Errorf("the rule is not named: %v; want %s", err, line)
	}
}

// TestForeignRuleHoldsChain is a rule of somebody else's that leads to a chain that
// is to go: the kernel refuses, and the error has to name the rule.
func TestForeignRuleHoldsChain(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeign(t, variant)
		apply(t, host, hosttest.Article+hosttest.Alone)
		hosttest.IPTables(t, variant, rules.IPv4, "-A DOCKER -p udp -j NATSPREAD-dns")
		wantHeld(t, host, hosttest.Article, "iptables-"+string(variant)+" -t nat -D DOCKER -p udp -j NATSPREAD-dns")
		hosttest.IPTables(t, variant, rules.IPv4, "-D DOCKER -p udp -j NATSPREAD-dns")

		apply(t, host, hosttest.Accepted(hosttest.Article))
		hosttest.IPTablesOn(t, variant, rules.IPv6, rules.Filter, "-N DOCKER")
		hosttest.IPTablesOn(t, variant, rules.IPv6, rules.Filter, "-A DOCKER -p udp -j NATSPREAD-FORWARD")
		wantHeld(t, host, hosttest.Article, "ip6tables-"+string(variant)+" -t filter -D DOCKER -p udp -j NATSPREAD-FORWARD")
	})
}
