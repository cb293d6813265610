package iptables_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/testsize"
	"natspread/render"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// longMessage and manyRules are the size of a text and the number of its lines from which on
// nft may need more than one socket's buffer holds, which only the machine's own root may
// enlarge.
const (
	longMessage = 40 << 10
	manyRules   = 400
)

// golden is the rules of one family in a story.
type golden struct {
	name  string
	table rules.Table
}

// goldens returns every rules file of the stories in testdata/render.
func goldens(t *testing.T) []golden {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/render/*.txtar")
	hosttest.Must(t, err)
	var found []golden
	all := rules.Tables{}.All()
	for _, path := range paths {
		story, err := txtar.ParseFile(path)
		hosttest.Must(t, err)
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
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		comeBack(t, variant, slices.DeleteFunc(goldens(t), isLong))
	})
}

// isLong tells whether a golden may need more than one socket's buffer.
func isLong(g golden) bool {
	text := g.table.Text()
	return len(text) >= longMessage || bytes.Count(text, []byte("\n")) >= manyRules
}

// TestEveryConfigLoads has the kernel take, and give back, what any checked config
// turns into, and not only the stories.
func TestEveryConfigLoads(t *testing.T) {
	configs := testsize.Of(20, 60)
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
		proven := 0
		for seed := range configs {
			cfg := configtest.Config().Example(seed)
			for _, table := range render.New(cfg).All() {
				if table.Empty() || isLong(golden{table: table}) {
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

// comeBack proves tables, which leaves the live ones alone, and then does the same by
// hand, so that a fault in the proof cannot hide itself.
func comeBack(t *testing.T, variant rules.Variant, all []golden) {
	t.Helper()
	kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
	before := hosttest.Everything(t, variant)
	for _, golden := range all {
		if err := kernel.Prove(t.Context(), golden.table); err != nil {
			t.Errorf("%s: %v", golden.name, err)
		}
	}
	hosttest.WantSame(t, "the live tables", before, hosttest.Everything(t, variant))
	for _, golden := range all {
		t.Run(golden.name, func(t *testing.T) { comesBack(t, variant, golden.table) })
	}
}

// comesBack loads a table in the place of the live one, and compares what that is then.
func comesBack(t *testing.T, variant rules.Variant, table rules.Table) {
	t.Helper()
	want := string(table.Text())
	if table.Name == rules.NAT {
		hosttest.Put(t, variant, table.Family, want)
	} else { // a part, which says nothing of policies
		empty := map[rules.TableName]string{rules.Filter: hosttest.EmptyFilter, rules.Mangle: hosttest.EmptyMangle}[table.Name]
		begin, _, _ := strings.Cut(want, "\n")
		hosttest.Put(t, variant, table.Family, begin+"\n-F\n-X\nCOMMIT\n"+want, "--noflush")
		want = strings.TrimSuffix(empty, "COMMIT\n") + strings.TrimPrefix(want, begin+"\n")
	}
	hosttest.WantSame(t, "the table", want, hosttest.Save(t, variant, table.Family, "-t", table.Name.String()))
}

// TestProofRefuses shows rules that iptables-restore or its --test take without
// complaint, and that no proof may take.
func TestProofRefuses(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
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
				table := hosttest.Tables(t, hosttest.Article).IPv4
				c.change(&table)
				if err := kernel.Prove(t.Context(), table); err == nil {
					t.Errorf("proven:\n%s", table.Text())
				}
			})
		}
	})
}
