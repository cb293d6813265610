package restore_test

import (
	"context"
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
	"natspread/restore"
)

// exclusively returns a request to replace the whole tables, agreed to as they are now.
func exclusively(t *testing.T, host restore.Host, toml string) restore.Request {
	t.Helper()
	asked := request(t, toml)
	foreign, err := host.Foreign(t.Context(), asked.Tables)
	hosttest.Must(t, err)
	asked.Exclusive = &foreign
	return asked
}

// TestExclusive replaces each neighbour's tables, and then has nothing to do any more.
func TestExclusive(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, neighbour := range neighbours(t) {
			t.Run(neighbour.name, func(t *testing.T) {
				host := newHost(t, variant)
				for _, f := range rules.Families() {
					hosttest.Put(t, variant, f, neighbour.rules[f], "-c")
				}
				before := [2]string{hosttest.SaveNAT(t, variant, rules.IPv4, "-c"), hosttest.SaveNAT(t, variant, rules.IPv6, "-c")}
				beyond := beyondNat(hosttest.Everything(t, variant))
				asked := exclusively(t, host, hosttest.Article)
				if lines := asked.Exclusive[rules.IPv4]; !slices.Equal(lines, listOf(neighbour.rules[rules.IPv4])) {
					t.Errorf("what would vanish is not all there is: %q", lines)
				}
				result, err := host.Apply(t.Context(), asked)
				hosttest.Must(t, err)
				if !result.Changed || !result.Loaded {
					t.Errorf("%+v", result)
				}
				for _, f := range rules.Families() {
					if !slices.Equal(result.Removed[f], asked.Exclusive[f]) {
						t.Errorf("it says that these vanished: %q", result.Removed)
					}
				}
				wanted := hosttest.Tables(t, hosttest.Article)
				for _, f := range rules.Families() {
					hosttest.WantSame(t, "the whole "+f.String()+" table", string(wanted.Of(f).Text()), hosttest.SaveNAT(t, variant, f))
				}
				if len(result.Notes) != 2+len(result.Opened) {
					t.Errorf("notes: %q", result.Notes)
				}
				for i, f := range rules.Families() {
					_, path, _ := strings.Cut(result.Notes[i], " -c < ")
					kept, err := os.ReadFile(path)
					hosttest.Must(t, err)
					hosttest.WantSame(t, "what is kept of "+f.String(), before[f], hosttest.Uncommented(string(kept)))
				}
				hosttest.WantSame(t, "other tables", beyond, beyondNat(hosttest.Everything(t, variant)))
				if again, err := host.Apply(t.Context(), exclusively(t, host, hosttest.Article)); err != nil || again.Changed || again.Removed.Len() != 0 {
					t.Errorf("once more: %+v, %v", again, err)
				}
				_, err = host.Stop(t.Context())
				hosttest.Must(t, err)
			})
		}
	})
}

// listOf returns what a story's nat table holds as it is listed: chains, then rules.
func listOf(rules string) []string {
	table, _, _ := strings.Cut(rules, "COMMIT")
	var chains, list []string
	for line := range strings.Lines(table) {
		line = strings.TrimSuffix(line, "\n")
		if name, found := strings.CutSuffix(line, " - [0:0]"); found {
			chains = append(chains, "-N "+name[1:])
		}
		if _, rule, found := strings.Cut(line, "] -A "); found {
			list = append(list, "-A "+rule)
		}
	}
	return append(chains, list...)
}

// natTable is a nat table in what iptables-save prints of all.
var natTable = regexp.MustCompile(`(?s)\*nat\n.*?COMMIT\n`)

// beyondNat returns what is left of all tables without those of nat.
func beyondNat(text string) string { return natTable.ReplaceAllString(text, "") }

// TestExclusiveBesideOwn has both, natspread's rules and foreign ones, to begin with:
// the same config is then no reason to do nothing.
func TestExclusiveBesideOwn(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeign(t, variant)
		apply(t, host, hosttest.Article)
		result, err := host.Apply(t.Context(), exclusively(t, host, hosttest.Article))
		if err != nil || !result.Changed || result.Generation != 1 {
			t.Errorf("%+v, %v", result, err)
		}
		hosttest.WantSame(t, "the table", string(hosttest.Tables(t, hosttest.Article).IPv4.Text()), hosttest.SaveNAT(t, variant, rules.IPv4))

		// A family without rules has nothing to put in the place of anything.
		putForeign(t, variant)
		before := hosttest.SaveNAT(t, variant, rules.IPv6, "-c")
		_, err = host.Apply(t.Context(), exclusively(t, host, hosttest.Alone))
		hosttest.Must(t, err)
		hosttest.WantSame(t, "the IPv4 table", string(hosttest.Tables(t, hosttest.Alone).IPv4.Text()), hosttest.SaveNAT(t, variant, rules.IPv4))
		hosttest.WantSame(t, "the IPv6 table", before, hosttest.SaveNAT(t, variant, rules.IPv6, "-c"))
	})
}

// TestExclusiveAsAgreed refuses when something else would vanish than was listed.
func TestExclusiveAsAgreed(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		asked := exclusively(t, host, hosttest.Article) // of nothing
		putForeign(t, variant)
		before := state(t, host)
		_, err := host.Apply(t.Context(), asked)
		wantUnchanged(t, host, before, err, nil)

		asked = exclusively(t, host, hosttest.Article)
		hosttest.IPTables(t, variant, rules.IPv6, "-A DOCKER -j RETURN")
		before = state(t, host)
		_, err = host.Apply(t.Context(), asked)
		wantUnchanged(t, host, before, err, nil)
		if err != nil && !strings.Contains(err.Error(), "have changed since they were listed") {
			t.Error(err)
		}
		_, err = host.Try(t.Context(), asked, restore.Trial{})
		wantUnchanged(t, host, before, err, nil)
	})
}

// TestExclusiveIsReadBack has a program that loads beside the others' rules, and not in
// their place, and is content.
func TestExclusiveIsReadBack(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeign(t, variant)
		before := state(t, host)
		failing := host
		failing.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.HasSuffix(name, "-restore") && !slices.Contains(args, "-c") {
				args = append([]string{"--noflush"}, args...)
			}
			return host.Run(ctx, stdin, name, args...)
		}
		_, err := failing.Apply(t.Context(), exclusively(t, host, hosttest.Article))
		if err == nil || !strings.Contains(err.Error(), "it still holds -") {
			t.Errorf("the error is %v", err)
		}
		hosttest.WantSame(t, "the tables", uncounted(variant, before), uncounted(variant, state(t, host)))
	})
}

// TestExclusiveReverts lets each later step fail: what is foreign comes back with its
// counters, as far as the programs take them.
func TestExclusiveReverts(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := oddHost(t, variant)
		before := state(t, host)
		for _, c := range []struct {
			name string
			run  func(program.Runner) program.Runner
		}{
			{"IPv4 is not replaced", wholeLoads(rules.IPv4, func(func() error) error { return errSeam })},
			{"IPv4 is replaced by a program that fails", wholeLoads(rules.IPv4, func(run func() error) error { run(); return errSeam })},
			{"IPv6 is not replaced", wholeLoads(rules.IPv6, func(func() error) error { return errSeam })},
			{"IPv6 is not replaced, and nobody says so", wholeLoads(rules.IPv6, func(func() error) error { return nil })},
		} {
			t.Run(c.name, func(t *testing.T) {
				failing := host
				failing.Run = c.run(host.Run)
				_, err := failing.Apply(t.Context(), exclusively(t, host, hosttest.Smaller))
				if err == nil || !strings.HasSuffix(err.Error(), "; nothing was changed") {
					t.Errorf("the error is %v", err)
				}
				wantReplaced(t, host, "")
				hosttest.WantSame(t, "the state", uncounted(variant, before), uncounted(variant, state(t, host)))
			})
		}
		t.Run("forwarding cannot be set", func(t *testing.T) {
			asked := exclusively(t, host, hosttest.Smaller)
			hosttest.SetForwarding(t, "01")
			before := state(t, host)
			hosttest.Must(t, os.WriteFile(filepath.Join(host.Root, "run/natspread/replaced.v4"), []byte("what an apply before this one replaced"), 0o600))
			readOnlySysctls(t, func() {
				if _, err := host.Apply(t.Context(), asked); err == nil {
					t.Error("no error")
				}
			})
			wantReplaced(t, host, "what an apply before this one replaced")
			hosttest.WantSame(t, "the state", uncounted(variant, before), uncounted(variant, state(t, host)))
		})
	})
}

// wantReplaced asks for what is kept of a replaced table after an apply that failed: "" is nothing.
func wantReplaced(t *testing.T, host restore.Host, want string) {
	t.Helper()
	kept, err := os.ReadFile(filepath.Join(host.Root, "run/natspread/replaced.v4"))
	if string(kept) != want || (err == nil) != (want != "") {
		t.Errorf("kept: %q, %v", kept, err)
	}
	if _, err := os.Stat(filepath.Join(host.Root, "run/natspread/replaced.v6")); err == nil {
		t.Error("replaced.v6 is left")
	}
}

// TestExclusiveInPart refuses where iptables does not show all of what would vanish, so that
// nobody could put it back, and does the work once that is taken out. Sets, maps, and chains
// that nft hooked, are not touched. A rule that needs what its namespace alone has is no
// reason to refuse.
func TestExclusiveInPart(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.NFT {
			return
		}
		for rule, refused := range map[string]string{
			"ip saddr @ok accept":                            "-A P1 -j ACCEPT",
			"ip daddr 10.0.0.1-10.0.0.9 tcp dport 80 accept": "-A P1 -d 10.0.0.9/32 -p tcp -m tcp --dport 80 -j ACCEPT",
			"tcp dport vmap { 80 : accept }":                 "-A P1 -p tcp",
			"udp length 20 accept":                           "-A P1 -p udp -j ACCEPT", // of expressions that it shows elsewhere
			"counter accept":                                 "",
		} {
			host := newHost(t, variant)
			hosttest.Put(t, variant, rules.IPv4, "*nat\n:P1 - [0:0]\n-A PREROUTING -m helper --helper ftp -j P1\n-A PREROUTING -p udp -m recent --set --name r --mask 255.255.255.255 --rsource -j P1\n-A P1 -m limit --limit 3/min -j RETURN\nCOMMIT\n")
			netnstest.Self().Command(t, "add set ip nat ok { type ipv4_addr; elements = { 198.51.100.7 }; }\nadd map ip nat verdicts { type ipv4_addr : verdict; }\nadd map ip nat counted { type ipv4_addr : counter; }\nadd chain ip nat mine { type nat hook prerouting priority -110; }\nadd rule ip nat P1 "+rule+"\n", "nft", "-f", "-")
			asked := request(t, hosttest.Alone)
			foreign, err := host.Foreign(t.Context(), asked.Tables)
			if refused != "" {
				if err == nil || !strings.Contains(err.Error(), "iptables shows only a part of rule 2 of chain P1 in the ipv4 nat table ("+refused+")") || !strings.HasSuffix(err.Error(), "; nothing was changed") {
					t.Errorf("%s: %v", rule, err)
				}
				before := state(t, host)
				asked.Exclusive = &foreign
				_, err = host.Apply(t.Context(), asked)
				wantUnchanged(t, host, before, err, nil)
				takeOut(t, err)
				foreign, err = host.Foreign(t.Context(), asked.Tables)
			}
			for _, hidden := range []string{"chain mine", "set ok", "map verdicts", "map counted"} {
				if err == nil || !strings.Contains(err.Error(), "iptables does not show the "+hidden+" of the ipv4 nat table, ") {
					t.Fatalf("%s: %v", rule, err)
				}
				takeOut(t, err)
				foreign, err = host.Foreign(t.Context(), asked.Tables)
			}
			hosttest.Must(t, err)
			asked.Exclusive = &foreign
			_, err = host.Apply(t.Context(), asked)
			hosttest.Must(t, err)
			if left := netnstest.Self().Command(t, "", "nft", "list", "table", "ip", "nat"); strings.Contains(left, "P1") {
				t.Errorf("%s: left is %s", rule, left)
			}
			_, err = host.Stop(t.Context())
			hosttest.Must(t, err)
			netnstest.Self().Command(t, "", "nft", "flush", "ruleset")
		}
	})
}

// takeOut runs the two lines of an error: the one that shows what iptables does not, and the
// one that takes it out.
func takeOut(t *testing.T, err error) {
	t.Helper()
	_, lines, _ := strings.Cut(err.Error(), ": keep it by ")
	lines, _, _ = strings.Cut(lines, ", and apply again")
	keep, take, _ := strings.Cut(lines, ", take it out by ")
	if shown := netnstest.Self().Command(t, keep, "sh"); shown == "" {
		t.Errorf("%s shows nothing", keep)
	}
	netnstest.Self().Command(t, take, "sh")
}

// ruleCounters are the counters of a rule, not of a policy.
var ruleCounters = regexp.MustCompile(`(?m)^\[\d+:\d+\] -A`)

// uncounted drops the counters of rules in the second of two tables, IPv6's, which
// ip6tables-nft-restore of iptables 1.8.9 sets to zero whatever it is given.
func uncounted(variant rules.Variant, state string) string {
	four, rest, _ := strings.Cut(state, "COMMIT\n")
	if variant == rules.NFT {
		rest = ruleCounters.ReplaceAllString(rest, "-A")
	}
	return four + "COMMIT\n" + rest
}

// wholeLoads returns a seam for the first load of a whole table into the live one of a
// family, which comes after that of the proof.
func wholeLoads(f rules.Family, load func(run func() error) error) func(program.Runner) program.Runner {
	return func(run program.Runner) program.Runner {
		calls := 0
		return func(ctx context.Context, stdin []byte, name string, args ...string) (out []byte, err error) {
			if strings.HasSuffix(name, "-restore") && isFamily(f, name) && strings.HasPrefix(string(stdin), "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT") {
				if calls++; calls == 1 {
					return nil, load(func() error { _, err := run(ctx, stdin, name, args...); return err })
				}
			}
			return run(ctx, stdin, name, args...)
		}
	}
}
