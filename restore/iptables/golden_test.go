package iptables_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/internal/test/netnstest"
	"natspread/render"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// longMessage is the size of a text from which on nft may need more than one
// socket's buffer holds, which only the machine's own root may enlarge.
const longMessage = 40 << 10

// golden is the rules of one family in a story.
type golden struct {
	name  string
	table rules.Table
}

// goldens returns every rules file of the stories in testdata/render.
func goldens(t *testing.T) []golden {
	t.Helper()
	paths, err := filepath.Glob("../testdata/render/*.txtar")
	must(t, err)
	var found []golden
	all := rules.Tables{}.All()
	for _, path := range paths {
		story, err := txtar.ParseFile(path)
		must(t, err)
		for _, file := range story.Files {
			i := slices.IndexFunc(all[:], func(table rules.Table) bool { return generation.RulesFile(table) == file.Name })
			if i < 0 {
				continue
			}
			table, err := rules.Parse(all[i].Family, all[i].Name, file.Data)
			if err != nil {
				t.Errorf("%s, %s: %v", path, file.Name, err)
			}
			found = append(found, golden{filepath.Base(path) + "/" + file.Name, table})
		}
	}
	if len(found) < 25 {
		t.Errorf("only %d goldens", len(found))
	}
	return found
}

// TestGoldensAreCanonical has every golden come back from the kernel byte for byte.
func TestGoldensAreCanonical(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, golden := range goldens(t) {
			if len(golden.table.Text()) < longMessage {
				t.Run(golden.name, func(t *testing.T) { comesBack(t, variant, golden.table) })
			}
		}
	})
}

// TestEveryConfigLoads has the kernel take, and give back, what any checked config
// turns into, and not only the stories.
func TestEveryConfigLoads(t *testing.T) {
	const configs = 60
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
		proven := 0
		for seed := range configs {
			cfg := configtest.Config().Example(seed)
			for _, table := range render.New(cfg).All() {
				if table.Empty() || len(table.Text()) >= longMessage {
					continue
				}
				if err := kernel.Prove(t.Context(), table); err != nil {
					t.Errorf("%v\n%s", err, configtest.Text(cfg))
				}
				proven++
			}
		}
		if proven < configs {
			t.Errorf("only %d tables were small enough to be loaded", proven)
		}
	})
}

// comesBack proves a table, and then does the same by hand, so that a fault in
// the proof cannot hide itself.
func comesBack(t *testing.T, variant rules.Variant, table rules.Table) {
	t.Helper()
	kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
	tool := netnstest.Programs(string(variant), family(table.Family)).Save
	live := func() string {
		return comments.ReplaceAllString(netnstest.Self().Command(t, "", tool, "-t", table.Name.String()), "")
	}
	before := live()
	if err := kernel.Prove(t.Context(), table); err != nil {
		t.Error(err)
	}
	wantSame(t, "the live table", before, live())
	want := string(table.Text())
	if table.Name == rules.NAT {
		put(t, variant, table.Family, want)
	} else { // a part, which says nothing of policies
		put(t, variant, table.Family, "*filter\n-F\n-X\nCOMMIT\n"+want, "--noflush")
		want = strings.Replace(want, "*filter\n", "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n", 1)
	}
	wantSame(t, "the golden", want, live())
}

// many is a config of one service a family with so many backends.
func many(backends int, algorithm string) string {
	var b strings.Builder
	for _, s := range []struct{ name, listen, address string }{
		{"web", "192.0.2.10:80", "10.0.%d.%d:80"},
		{"web6", "[2001:db8::10]:80", "[fd00::%x:%x]:80"},
	} {
		fmt.Fprintf(&b, "[[service]]\nname = %q\nlisten = %q\nalgorithm = %q\nbackends = [\n", s.name, s.listen, algorithm)
		for i := range backends {
			fmt.Fprintf(&b, "  \""+s.address+"\",\n", i/250+1, i%250+1)
		}
		b.WriteString("]\n")
	}
	return b.String()
}

// TestThousandBackends loads what needs more than one socket's buffer: generated
// pools, and what is long among the goldens.
func TestThousandBackends(t *testing.T) {
	for _, name := range netnstest.Variants(t) {
		t.Run(name, func(t *testing.T) {
			if !netnstest.IsolateAsRoot(t) {
				return
			}
			variant := rules.Variant(name)
			for _, golden := range goldens(t) {
				if len(golden.table.Text()) >= longMessage {
					t.Run(golden.name, func(t *testing.T) { comesBack(t, variant, golden.table) })
				}
			}
			host := newHost(t, variant)
			for _, algorithm := range []string{"random", "round-robin"} {
				thousand := many(1000, algorithm)
				for _, f := range rules.Families() {
					comesBack(t, variant, tables(t, thousand).Of(f))
				}
				apply(t, host, thousand)
				wantLoaded(t, variant, thousand)
				if again := apply(t, host, thousand); again.Changed {
					t.Error("what is in step was applied again")
				}
			}
			apply(t, host, article)
			wantLoaded(t, variant, article)
		})
	}
}

// TestProofRefuses shows rules that iptables-restore or its --test take without
// complaint, and that no proof may take.
func TestProofRefuses(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
		for _, c := range []struct {
			name   string
			change func(table *rules.Table)
		}{
			{"DNAT in POSTROUTING", func(table *rules.Table) {
				dnat := table.Chains[3].Rules[0] // NATSPREAD-web
				table.Chains[1].Rules = append(table.Chains[1].Rules, dnat)
			}},
			{"a circle", func(table *rules.Table) {
				table.Chains[3].Rules = append([]rules.Rule{{Target: rules.Target{Chain: rules.ServicePre}}}, table.Chains[3].Rules...)
			}},
			{"a missing chain", func(table *rules.Table) {
				table.Chains[0].Rules = append(table.Chains[0].Rules, rules.Rule{Target: rules.Target{Chain: "NATSPREAD-none"}})
			}},
			{"two -d", func(table *rules.Table) { // the kernel takes the last
				rule := &table.Chains[0].Rules[0]
				rule.NotDestination = rule.Destination
			}},
		} {
			t.Run(c.name, func(t *testing.T) {
				table := tables(t, article).IPv4
				c.change(&table)
				if err := kernel.Prove(t.Context(), table); err == nil {
					t.Errorf("proven:\n%s", table.Text())
				}
			})
		}
	})
}
