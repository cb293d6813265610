package restore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// part is a table of which natspread holds a part, where services ask for it.
type part struct {
	name    rules.TableName
	asked   func(toml string) string // returns the config with all services asking for it
	empty   string                   // the table when nobody has anything in it
	foreign string                   // what others leave in it, with counters
	beside  []besideStep             // applied one after the other beside that
	drifts  []drift                  // of its own
}

// besideStep is a config, and the place of its first IPv4 jump in FORWARD among the rules of others.
type besideStep struct {
	toml  string
	place int
}

// drift is a command line of iptables, and how status says what it did.
type drift struct{ line, difference string }

// filterPart is the part in which services ask for accepts. Docker, ufw and people leave the rest in a
// table whose FORWARD drops.
func filterPart() part {
	return part{
		name: rules.Filter, asked: hosttest.Accepted, empty: hosttest.EmptyFilter,
		foreign: `*filter
:INPUT DROP [3:180]
:FORWARD DROP [12:720]
:OUTPUT ACCEPT [7:420]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:ufw-before-forward - [0:0]
[5:300] -A FORWARD -j DOCKER-USER
[4:240] -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[3:181] -A FORWARD -j ufw-before-forward
[2:120] -A FORWARD -m conntrack --ctstate DNAT -m comment --comment natspread -j LOG
[1:60] -A DOCKER ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
[6:360] -A DOCKER-USER -j RETURN
[7:420] -A ufw-before-forward -p udp -m conntrack --ctstate DNAT -j DROP
COMMIT
`,
		beside: []besideStep{ // the jump is last, or before a chain that drops what a service has
			{hosttest.Accepted(hosttest.Article), 5},
			{hosttest.Accepted(hosttest.Article) + strings.Replace(hosttest.Accepted(hosttest.Alone), "192.0.2.10:53", "*:53", 1), 3},
			{hosttest.Accepted(hosttest.Smaller), 5},
		},
		drifts: []drift{
			{"-A FORWARD -s 203.0.113.9/32 -j DROP", "ipv4: the jump in FORWARD is rule 1, and belongs at place 2: connections pass the bans between"},
			{"-I FORWARD -j DROP", "ipv4: the jump in FORWARD is rule 3, and belongs at place 1: a rule between may drop connections"},
			{"-I FORWARD 2 -j DROP", "ipv4: the jump in FORWARD is rule 3, and belongs at place 2: a rule between may drop connections"},
		},
	}
}

// manglePart is the part in which services ask for shorter segments. Tools for policy routing, tunnels
// and quality of service leave the rest.
func manglePart() part {
	return part{
		name: rules.Mangle, asked: hosttest.Clamped, empty: hosttest.EmptyMangle,
		foreign: `*mangle
:PREROUTING ACCEPT [3:180]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [12:720]
:OUTPUT ACCEPT [7:420]
:POSTROUTING ACCEPT [1:60]
:QOS - [0:0]
[5:300] -A PREROUTING -m conntrack --ctstate NEW -j MARK --set-xmark 0x1/0xff
[4:240] -A FORWARD -o ppp0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
[3:181] -A FORWARD -j QOS
[6:360] -A QOS -p udp -j DSCP --set-dscp 0x2e
COMMIT
`,
		beside: []besideStep{
			{hosttest.Clamped(hosttest.Article), 1},
			{strings.ReplaceAll(hosttest.Clamped(hosttest.Article), "clamp_mss = true", "clamp_mss = 1260"), 1},
			{hosttest.Clamped(hosttest.Accepted(strings.ReplaceAll(hosttest.Article, "192.0.2.10:80", "*:80"))), 1},
			{hosttest.Clamped(hosttest.Smaller), 1},
		},
		drifts: []drift{
			{"-A FORWARD -j NATSPREAD-MSS", "ipv4 mangle: the jump in FORWARD is doubled: rules 1 and 2"},
			{"-I FORWARD -s 203.0.113.9/32 -j ACCEPT", "ipv4: the jump in FORWARD of the mangle table is rule 2: the segments of a connection that a rule before it accepts do not become shorter"},
		},
	}
}

// eachPart runs a test for each part, and for each variant.
func eachPart(t *testing.T, test func(t *testing.T, p part, variant rules.Variant)) {
	t.Helper()
	for _, p := range []part{filterPart(), manglePart()} {
		t.Run(p.name.String(), func(t *testing.T) {
			hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) { test(t, p, variant) })
		})
	}
}

// entry returns the chain of natspread's that its first jump in FORWARD leads to.
func (p part) entry() string { return p.name.EntryChains(rules.Forward)[0] }

// of returns the part of a family that a config asks for.
func (p part) of(t *testing.T, f rules.Family, toml string) rules.Table {
	t.Helper()
	return hosttest.Tables(t, toml).All()[2*int(p.name)+int(f)]
}

// file returns the name of the file that a generation has for the part of a family.
func (p part) file(f rules.Family) string {
	return generation.RulesFile(rules.Table{Family: f, Name: p.name})
}

// reboot makes the kernel what it is at boot, with nothing in the table.
func (p part) reboot(t *testing.T, variant rules.Variant) {
	t.Helper()
	hosttest.Boot(t, variant)
	for _, f := range rules.Families() {
		hosttest.Put(t, variant, f, p.empty)
	}
}

// putForeign loads the rules of others in both families.
func (p part) putForeign(t *testing.T, variant rules.Variant) {
	t.Helper()
	for _, f := range rules.Families() {
		hosttest.Put(t, variant, f, p.foreign, "-c")
	}
}

// save returns the table of both families with counters, as far as those stay.
func (p part) save(t *testing.T, variant rules.Variant) string {
	t.Helper()
	text := ""
	for _, f := range rules.Families() {
		text += hosttest.SaveTables(t, variant, f)[p.name]
	}
	return counted(variant, text)
}

// others is save without what is natspread's.
func (p part) others(t *testing.T, variant rules.Variant) string {
	t.Helper()
	return ownLines.ReplaceAllString(p.save(t, variant), "")
}

// jumpPlace returns the place of the first jump in FORWARD, from 1, and 0 where there is none.
func (p part) jumpPlace(t *testing.T, variant rules.Variant, f rules.Family) int {
	t.Helper()
	place := 0
	for line := range strings.Lines(hosttest.SaveTables(t, variant, f)[p.name]) {
		if _, rule, found := strings.Cut(line, "-A FORWARD "); found {
			if place++; strings.HasSuffix(rule, "-j "+p.entry()+"\n") {
				return place
			}
		}
	}
	return 0
}

// policyCounters are those of the built-in chains. The legacy variant sets them to zero
// in every change that anybody makes to a table, see iptables -A.
var policyCounters = regexp.MustCompile(`(?m)^(:[A-Z]+ \S+) \[.*\]$`)

// ownLines are the lines of a saved filter or mangle table that are natspread's.
var ownLines = regexp.MustCompile(`(?m)^(:NATSPREAD-.*|(\[\d+:\d+\] )?-A (NATSPREAD-|FORWARD .*-j NATSPREAD-).*)\n`)

// counted returns tables without the counters that a variant does not keep.
func counted(variant rules.Variant, tables string) string {
	if variant == rules.Legacy {
		return policyCounters.ReplaceAllString(tables, "$1")
	}
	return tables
}

// TestPartBesideOthers asks for a part beside rules of others, changes it, and gives it up: nobody else's
// rule, chain, counter or policy changes, also with --exclusive, and what no service asks for is left to
// FORWARD as it was found.
func TestPartBesideOthers(t *testing.T) {
	eachPart(t, func(t *testing.T, p part, variant rules.Variant) {
		host := newHost(t, variant)
		p.putForeign(t, variant)
		before := p.save(t, variant)
		apply(t, host, hosttest.Article)
		hosttest.WantSame(t, "the tables without the part", before, p.save(t, variant))
		for i, step := range p.beside {
			if result := apply(t, host, step.toml); !result.Loaded || !result.Changed {
				t.Errorf("step %d: %+v", i, result)
			}
			hosttest.WantLoaded(t, variant, step.toml)
			hosttest.WantSame(t, fmt.Sprint("what is not natspread's, step ", i), before, p.others(t, variant))
			if place := p.jumpPlace(t, variant, rules.IPv4); place != step.place {
				t.Errorf("step %d: the jump in FORWARD is rule %d, want %d", i, place, step.place)
			}
			if result := apply(t, host, step.toml); result.Changed {
				t.Errorf("step %d, again: %+v", i, result)
			}
			wantInSync(t, host)
		}
		_, err := host.Apply(t.Context(), exclusively(t, host, p.asked(hosttest.Article)))
		hosttest.Must(t, err)
		hosttest.WantSame(t, "what is not natspread's, with --exclusive", before, p.others(t, variant))

		apply(t, host, hosttest.Smaller) // a generation without the part
		hosttest.WantSame(t, "the tables, with the part given up", before, p.save(t, variant))
		if _, err := os.Stat(place(host, "current", p.file(rules.IPv4))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file of it: %v", err)
		}
		apply(t, host, p.asked(hosttest.Smaller))
		_, err = host.Stop(t.Context())
		hosttest.Must(t, err)
		hosttest.WantSame(t, "the tables after stop", before, p.save(t, variant))
	})
}

// TestPartLeave makes no table where no service asks for it, and gets on with one that iptables cannot
// read.
func TestPartLeave(t *testing.T) {
	eachPart(t, func(t *testing.T, p part, variant rules.Variant) {
		host := newHost(t, variant)
		everyVerb := func() {
			t.Helper()
			apply(t, host, hosttest.Article)
			apply(t, host, hosttest.Smaller)
			_, err := host.Restore(t.Context())
			hosttest.Must(t, err)
			_, err = host.Status(t.Context())
			hosttest.Must(t, err)
			_, err = host.Stop(t.Context())
			hosttest.Must(t, err)
		}
		everyVerb()
		if all := hosttest.Everything(t, variant); strings.Contains(all, "*"+p.name.String()) {
			t.Errorf("a table came to be:\n%s", all)
		}
		if variant == rules.Legacy {
			return
		}
		for _, c := range []struct{ more, says string }{
			{"", fmt.Sprintf("ipv4 %v rules", p.name)},
			{"\tchain other {\n\t\tct mark 1 accept\n\t}\n", fmt.Sprintf("cannot read the %v table: it holds rules of nft's own", p.name)},
		} {
			native := fmt.Sprintf("table ip %v {\n\tchain FORWARD {\n\t\ttype filter hook forward priority 10; policy drop;\n\t}\n%s}\n", p.name, c.more)
			netnstest.Self().Command(t, native, "nft", "-f", "-")
			before := netnstest.Self().Command(t, "", "nft", "list", "table", "ip", p.name.String())
			everyVerb()
			was := state(t, host)
			_, err := host.Apply(t.Context(), request(t, p.asked(hosttest.Article)))
			wantUnchanged(t, host, was, err, nil)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
			hosttest.WantSame(t, "the native table", before, netnstest.Self().Command(t, "", "nft", "list", "table", "ip", p.name.String()))
		}
	})
}

// TestPartReadsNothing counts the programs of a restore: where no service asks for the part they are as
// many beside rules of others as without them, but for the question of the legacy variant, which knows no
// other way, whether natspread has a chain there.
func TestPartReadsNothing(t *testing.T) {
	eachPart(t, func(t *testing.T, p part, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		var programs [2][]string
		for i := range programs {
			counting := host
			counting.Run = noted(host.Run, &programs[i])
			hosttest.Boot(t, variant)
			_, err := counting.Restore(t.Context())
			hosttest.Must(t, err)
			p.putForeign(t, variant)
		}
		question := fmt.Sprintf(`*%v\n-S FORWARD 1\n-S %s`, p.name, p.entry())
		more := slices.DeleteFunc(slices.Clone(programs[1]), func(line string) bool { return strings.Contains(line, question) })
		if asked := len(programs[1]) - len(more); !slices.Equal(programs[0], more) || asked != map[rules.Variant]int{rules.Legacy: 2}[variant] {
			t.Errorf("%q, and beside others %q", programs[0], programs[1])
		}
	})
}

// noted runs programs, and notes each with what it was given.
func noted(run program.Runner, lines *[]string) program.Runner {
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		*lines = append(*lines, fmt.Sprintf("%s %q %q", filepath.Base(name), args, stdin))
		return run(ctx, stdin, name, args...)
	}
}

// TestPartAtBoot restores a part from files that are checked like the others: a generation whose part is
// lost, damaged or another is not good. One without the part, which has no such file, is restored as ever.
func TestPartAtBoot(t *testing.T) {
	eachPart(t, func(t *testing.T, p part, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Smaller)
		apply(t, host, p.asked(hosttest.Article))
		p.reboot(t, variant)
		result, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		if result.Generation != 2 || hosttest.Forwarding(t) != "11" {
			t.Errorf("%+v, forwarding %s", result, hosttest.Forwarding(t))
		}
		hosttest.WantLoaded(t, variant, p.asked(hosttest.Article))

		file := place(host, "generations/2", p.file(rules.IPv4))
		content, err := os.ReadFile(file)
		hosttest.Must(t, err)
		for name, damage := range map[string]func() error{
			"lost": func() error { return os.Remove(file) },
			"altered": func() error {
				return os.WriteFile(file, []byte(strings.Replace(string(content), "80", "81", 1)), 0o600)
			},
			"another": func() error {
				other := p.of(t, rules.IPv4, p.asked(strings.ReplaceAll(hosttest.Article, ":80", ":81")))
				return os.WriteFile(file, rules.EncodeFile(other), 0o600)
			},
			"everybody's": func() error { return os.Chmod(file, 0o666) },
		} {
			t.Run(name, func(t *testing.T) {
				hosttest.Must(t, damage())
				p.reboot(t, variant)
				result, err := host.Restore(t.Context())
				if err == nil || result.Generation != 1 || !strings.Contains(err.Error(), p.file(rules.IPv4)) {
					t.Errorf("%+v, %v", result, err)
				}
				hosttest.WantLoaded(t, variant, hosttest.Smaller)
				hosttest.Must(t, os.RemoveAll(file))
				hosttest.Must(t, os.WriteFile(file, content, 0o600))
			})
		}
	})
}

// TestPartOnTrial takes a part back with all else, and keeps it when it is confirmed.
func TestPartOnTrial(t *testing.T) {
	eachPart(t, func(t *testing.T, p part, variant rules.Variant) {
		host := newHost(t, variant)
		p.putForeign(t, variant)
		apply(t, host, hosttest.Article)
		before := p.save(t, variant)
		try(t, host, p.asked(hosttest.Article))
		hosttest.WantLoaded(t, variant, p.asked(hosttest.Article))
		_, err := host.Revert(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Article)
		hosttest.WantSame(t, "the tables", before, p.save(t, variant))

		try(t, host, p.asked(hosttest.Article))
		hosttest.IPTablesOn(t, variant, rules.IPv4, p.name, "-F "+p.entry())
		if _, err := host.Confirm(t.Context()); err == nil {
			t.Error("confirmed what the kernel no longer holds")
		}
		_, err = host.Revert(t.Context())
		hosttest.Must(t, err)
		try(t, host, p.asked(hosttest.Article))
		_, err = host.Confirm(t.Context())
		hosttest.Must(t, err)
		p.reboot(t, variant)
		_, err = host.Restore(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, p.asked(hosttest.Article))
	})
}

// TestPartDrift says what became of a part, and mends it.
func TestPartDrift(t *testing.T) {
	eachPart(t, func(t *testing.T, p part, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, p.asked(hosttest.Article))
		drifts := []drift{
			{"-F " + p.entry(), fmt.Sprintf("ipv4 %v: chain %s is empty: it should have 1 rule", p.name, p.entry())},
			{"-A " + p.entry() + " -j ACCEPT", fmt.Sprintf("ipv4 %v: chain %s has rule 2, which should not be there: -j ACCEPT", p.name, p.entry())},
			{"-D FORWARD 1", fmt.Sprintf("ipv4 %v: the jump in FORWARD is missing", p.name)},
			{"-N NATSPREAD-old", fmt.Sprintf("ipv4 %v: chain NATSPREAD-old is left over", p.name)},
		}
		for _, c := range append(drifts, p.drifts...) {
			hosttest.IPTablesOn(t, variant, rules.IPv4, p.name, c.line)
			wantLine(t, host, c.difference)
			if result := apply(t, host, p.asked(hosttest.Article)); !result.Loaded || result.Generation != 1 {
				t.Errorf("%s: %+v", c.line, result)
			}
			hosttest.WantLoaded(t, variant, p.asked(hosttest.Article))
		}
		// What nothing asks for any more, and a kill left behind.
		apply(t, host, hosttest.Article)
		hosttest.Put(t, variant, rules.IPv6, string(p.of(t, rules.IPv6, p.asked(hosttest.Article)).Text()), "--noflush")
		wantLine(t, host, fmt.Sprintf("ipv6 %v: chain %s is left over", p.name, p.entry()))
		_, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Article)
	})
}

// TestPartInOtherVariant takes a part out of the variant that is no longer in use.
func TestPartInOtherVariant(t *testing.T) {
	eachPart(t, func(t *testing.T, p part, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, p.asked(hosttest.Article))
		for _, f := range rules.Families() { // as if somebody had taken only these out
			hosttest.Put(t, variant, f, "*nat\nCOMMIT\n")
		}
		host.Variant = variant.Other()
		if differ := lines(status(t, host)); !slices.Contains(differ, fmt.Sprintf("ipv4 %v: the %s variant holds rules of natspread, too: packets meet both", p.name, variant)) {
			t.Errorf("%q", differ)
		}
		if result := apply(t, host, p.asked(hosttest.Article)); !result.Cleared {
			t.Errorf("%+v", result)
		}
		hosttest.WantSame(t, "the tables of the other variant", counted(variant, p.empty+p.empty), p.save(t, variant))
		hosttest.WantLoaded(t, host.Variant, p.asked(hosttest.Article))
	})
}

// TestPartPlainRestore loads the files of a generation by iptables-restore alone, beside the rules of
// others: that is all that natspread would load.
func TestPartPlainRestore(t *testing.T) {
	eachPart(t, func(t *testing.T, p part, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, p.asked(hosttest.Article))
		p.reboot(t, variant)
		p.putForeign(t, variant)
		before := p.save(t, variant)
		for _, f := range rules.Families() {
			own, err := os.ReadFile(place(host, "current", p.file(f)))
			hosttest.Must(t, err)
			hosttest.Put(t, variant, f, string(own), "-n")
			nat, err := os.ReadFile(place(host, "current", generation.RulesFile(rules.Table{Family: f})))
			hosttest.Must(t, err)
			hosttest.Put(t, variant, f, string(nat))
		}
		hosttest.WantLoaded(t, variant, p.asked(hosttest.Article))
		hosttest.WantSame(t, "what is not natspread's", before, p.others(t, variant))
	})
}
