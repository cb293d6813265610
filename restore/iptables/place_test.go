package iptables

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// TestTransactionByPlace takes jumps out by their places, from the last one on, and makes
// the chains anew that they lead to.
func TestTransactionByPlace(t *testing.T) {
	const renew = "-X NATSPREAD-PRE\n-N NATSPREAD-PRE\n"
	balancer := builtIns + pre + web + preJump + toWeb + webRule
	for _, c := range []struct {
		name       string
		live, want string // as iptables-save prints them
		text       string // without *nat and COMMIT; "" is nothing to do
	}{
		{"in sync", balancer, balancer, ""},
		{"no jump to take out", builtIns, balancer, pre + web + toWeb + webRule + "-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"all away", balancer + docker, builtIns, pre + web + "-D PREROUTING 1\n-X NATSPREAD-PRE\n-X NATSPREAD-web\n"},
		{"jump doubled", balancer + docker + preJump, balancer,
			pre + "-D PREROUTING 3\n-D PREROUTING 1\n" + renew + toWeb + "-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"jump by hand", builtIns + pre + web + docker + "-A PREROUTING -i eth0 -g NATSPREAD-PRE\n" + toWeb + webRule, balancer,
			pre + "-D PREROUTING 2\n" + renew + toWeb + "-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"jump by hand to a chain that others lead to", balancer + "-A PREROUTING -i eth0 -j NATSPREAD-web\n", balancer,
			pre + "-D PREROUTING 2\n-D PREROUTING 1\n" + renew + toWeb + "-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"jump gone", builtIns + pre + web + toWeb + webRule, balancer, "-I PREROUTING 1 -j NATSPREAD-PRE\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := ""
			if c.text != "" {
				want = "*nat\n" + c.text + "COMMIT\n"
			}
			got := string(transactionByPlace(standing(t, c.live), standing(t, c.want)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

// jumpText is in a transaction that takes a jump in FORWARD out by its text.
var jumpText = regexp.MustCompile(`(?m)^-D FORWARD -`)

// jumpPlace is in one that takes it out by its place.
var jumpPlace = regexp.MustCompile(`(?m)^-D FORWARD [0-9]`)

// refuseText returns a Runner that finds no rule with the text of a jump in FORWARD, as
// iptables-restore does not where the kernel holds it with another revision of a match.
func refuseText(refused *int) program.Runner {
	run := program.Exec()
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		if jumpText.Match(stdin) {
			*refused++
			return nil, &program.Error{Name: name, Args: args, Code: 1, Stderr: "line 3 failed: Bad rule (does a matching rule exist in that chain?).", Err: errors.New("exit status 1")}
		}
		return run(ctx, stdin, name, args...)
	}
}

// forwardBeside puts rules of others before and behind the jump in FORWARD.
func forwardBeside(t *testing.T, variant rules.Variant) {
	t.Helper()
	for _, f := range rules.Families() {
		hosttest.IPTablesOn(t, variant, f, rules.Filter, "-I FORWARD -p udp -j ACCEPT")
		hosttest.IPTablesOn(t, variant, f, rules.Filter, "-A FORWARD -p sctp -j DROP")
	}
}

// loadTables brings the kernel to tables.
func loadTables(t *testing.T, kernel Kernel, tables rules.Tables) (Loaded, error) {
	t.Helper()
	observed, err := kernel.Snapshots(t.Context(), tables)
	hosttest.Must(t, err)
	return kernel.Load(t.Context(), observed, tables)
}

// TestJumpByPlace takes out, and replaces, a jump that iptables does not find by its text,
// and leaves what stands beside it.
func TestJumpByPlace(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		before := hosttest.Everything(t, variant)
		kernel := Kernel{Run: program.Exec(), Variant: variant}
		_, err := loadTables(t, kernel, hosttest.Tables(t, hosttest.Accepted(hosttest.Article)))
		hosttest.Must(t, err)
		forwardBeside(t, variant)
		want := hosttest.Tables(t, hosttest.Accepted(hosttest.Smaller))
		refused := 0
		kernel.Run = refuseText(&refused)
		_, err = loadTables(t, kernel, want) // the jump is to be first again
		hosttest.Must(t, err)
		if refused == 0 {
			t.Error("no jump was refused")
		}
		hosttest.WantTables(t, variant, want)
		_, err = loadTables(t, kernel, rules.NoTables())
		hosttest.Must(t, err)
		for _, f := range rules.Families() {
			hosttest.IPTablesOn(t, variant, f, rules.Filter, "-D FORWARD -p udp -j ACCEPT")
			hosttest.IPTablesOn(t, variant, f, rules.Filter, "-D FORWARD -p sctp -j DROP")
		}
		if left := hosttest.Everything(t, variant); strings.Contains(left, "NATSPREAD") || strings.Count(left, "\n-A") != strings.Count(before, "\n-A") {
			t.Errorf("what is left:\n%s", left)
		}
	})
}

// TestRevertByPlace reverts a load whose jump is not found by its text, as the one is not
// that an error of the kernel made of another revision.
func TestRevertByPlace(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		forwardBeside(t, variant)
		before := hosttest.Everything(t, variant)
		refused, lied := 0, false
		run := refuseText(&refused)
		kernel := Kernel{Variant: variant, Run: func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			out, err := run(ctx, stdin, name, args...)
			if lies := bytes.Contains(out, []byte("--ctorigdstport 80")); lies && !lied && bytes.Contains(out, []byte("*filter")) {
				lied = true // as that revision is read back
				out = bytes.ReplaceAll(out, []byte("--ctorigdstport 80"), []byte("--ctorigdstport 20480"))
			}
			if listed := bytes.Contains(stdin, []byte("\n-S ")) && bytes.Contains(stdin, []byte("*filter")); listed && !lied {
				out = nil // so that the whole table is read
			}
			return out, err
		}}
		_, err := loadTables(t, kernel, hosttest.Tables(t, hosttest.Accepted(hosttest.Article)))
		if err == nil || !strings.HasSuffix(err.Error(), "; nothing was changed") || !lied || refused == 0 {
			t.Errorf("%v; lied %v, refused %d jumps", err, lied, refused)
		}
		hosttest.WantSame(t, "everything", emptied(before), emptied(hosttest.Everything(t, variant)))
	})
}

// emptied leaves out tables in which there is nothing: a load makes them.
func emptied(tables string) string {
	var kept strings.Builder
	for table := range strings.SplitAfterSeq(tables, "COMMIT\n") {
		if strings.Contains(table, "\n[") {
			kept.WriteString(policyCount.ReplaceAllString(table, "$1"))
		}
	}
	return kept.String()
}

// policyCount are the counters of policies, which the legacy variant does not keep.
var policyCount = regexp.MustCompile(`(?m)^(:\S+ \S+) \[.*\]$`)

// TestPlaceIsAnothers has somebody put a rule before the jump after its place was read, which
// is not the one where it belongs: that rule stays, and so does all else. The next load reads
// anew, and does it.
func TestPlaceIsAnothers(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, c := range []struct {
			name string
			want rules.Tables
		}{
			{"taken out", rules.NoTables()},
			{"replaced", hosttest.Tables(t, hosttest.Accepted(hosttest.Article))},
		} {
			t.Run(c.name, func(t *testing.T) {
				hosttest.Boot(t, variant)
				kernel := Kernel{Run: program.Exec(), Variant: variant}
				_, err := loadTables(t, kernel, hosttest.Tables(t, hosttest.Accepted(hosttest.Article)))
				hosttest.Must(t, err)
				hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Filter, "-A FORWARD -p udp -j ACCEPT")
				refused, moved := 0, false
				run := refuseText(&refused)
				kernel.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
					if jumpPlace.Match(stdin) && !moved {
						moved = true
						hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Filter, "-I FORWARD -p icmp -j ACCEPT")
					}
					return run(ctx, stdin, name, args...)
				}
				_, err = loadTables(t, kernel, c.want)
				if err == nil || !strings.HasSuffix(err.Error(), "; nothing was changed") || !moved {
					t.Errorf("%v; moved %v", err, moved)
				}
				text := hosttest.SaveFilter(t, variant, rules.IPv4)
				for _, rule := range []string{"-A FORWARD -p icmp -j ACCEPT\n", "-A FORWARD -p udp -j ACCEPT\n", "-A FORWARD -m conntrack --ctstate DNAT -j NATSPREAD-FORWARD\n"} {
					if strings.Count(text, rule) != 1 {
						t.Errorf("want once %sin\n%s", rule, text)
					}
				}
				_, err = loadTables(t, kernel, c.want)
				hosttest.Must(t, err)
				hosttest.WantTables(t, variant, c.want)
				hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Filter, "-D FORWARD -p icmp -j ACCEPT")
				hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Filter, "-D FORWARD -p udp -j ACCEPT")
				_, err = loadTables(t, Kernel{Run: program.Exec(), Variant: variant}, rules.NoTables())
				hosttest.Must(t, err)
			})
		}
	})
}
