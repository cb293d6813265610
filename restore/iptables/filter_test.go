package iptables_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/iptables"
)

// filterOf returns a chain of a variant's and family's filter table, and whether there is
// one.
func filterOf(t *testing.T, variant rules.Variant, f rules.Family, chain string) (rules.SavedChain, bool) {
	t.Helper()
	filters, err := iptables.Filters(t.Context(), program.Exec())
	hosttest.Must(t, err)
	for _, ruleset := range filters {
		if ruleset.Variant == variant && ruleset.Family == f {
			return ruleset.Chain("filter", chain)
		}
	}
	t.Errorf("no filter table of %v by %s", f, variant)
	return rules.SavedChain{}, false
}

// TestFilters reads policies, chains and rules, of a table that is there, and makes none by
// the question.
func TestFilters(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, f := range rules.Families() {
			if chain, found := filterOf(t, variant, f, rules.Forward); found && (chain.Policy != "ACCEPT" || len(chain.Rules) != 0) {
				t.Errorf("%v: %+v, where there is no table", f, chain)
			}
		}
		wantNoTables(t)
		for _, f := range rules.Families() {
			set := func(line string) { hosttest.IPTablesOn(t, variant, f, rules.Filter, line) }
			policy := func(want string) {
				t.Helper()
				if chain, found := filterOf(t, variant, f, rules.Forward); !found || chain.Policy != want {
					t.Errorf("%v: %+v, %v; want the policy %s", f, chain, found, want)
				}
			}
			set("-P INPUT DROP")
			policy("ACCEPT")
			set("-P FORWARD DROP")
			policy("DROP")
			set("-N DOCKER")
			set("-A FORWARD -p tcp -m tcp --dport 80 -j DOCKER")
			set("-A FORWARD -j DROP")
			forward, _ := filterOf(t, variant, f, rules.Forward)
			want := []rules.SavedRule{{Text: "-p tcp -m tcp --dport 80 -j DOCKER"}, {Text: "-j DROP"}}
			if diff := cmp.Diff(want, forward.Rules); diff != "" {
				t.Errorf("%v: want -, read +\n%s", f, diff)
			}
			if docker, found := filterOf(t, variant, f, "DOCKER"); !found || len(docker.Rules) != 0 {
				t.Errorf("%v: %+v, %v", f, docker, found)
			}
			if chain, _ := filterOf(t, variant.Other(), f, rules.Forward); len(chain.Rules) != 0 {
				t.Errorf("%v: the other variant has %+v", f, chain)
			}
		}
	})
}

// wantNoTables asks that neither variant has a table.
func wantNoTables(t *testing.T) {
	t.Helper()
	if tables := netnstest.Self().Command(t, "", "nft", "list", "tables"); tables != "" {
		t.Errorf("to ask made %s", tables)
	}
	for _, names := range []string{"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"} {
		if tables, err := os.ReadFile(names); err == nil && len(tables) > 0 {
			t.Errorf("to ask made %s", tables)
		}
	}
}

// TestFiltersInPart has programs that fail: what could be read is returned beside why the
// rest could not, and a variant that is missing is no failure.
func TestFiltersInPart(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	if len(netnstest.Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	hosttest.IPTablesOn(t, rules.Legacy, rules.IPv4, rules.Filter, "-P FORWARD DROP")
	for _, c := range []struct {
		fails error
		read  int
		says  string
	}{
		{errors.New("no rights"), 3, "cannot read the ipv6 filter table of the nft variant: no rights"},
		{program.ErrMissing, 3, ""},
	} {
		run := func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.HasSuffix(name, "/ip6tables-nft-restore") {
				return nil, c.fails
			}
			return program.Exec()(ctx, stdin, name, args...)
		}
		read, err := iptables.Filters(t.Context(), run)
		if len(read) != c.read || (err == nil) != (c.says == "") || err != nil && err.Error() != c.says {
			t.Errorf("%v: %d tables, %v", c.fails, len(read), err)
		}
		if !slices.ContainsFunc(read, func(r rules.Ruleset) bool {
			chain, _ := r.Chain("filter", rules.Forward)
			return chain.Policy == "DROP"
		}) {
			t.Errorf("%v: the policy is not there: %+v", c.fails, read)
		}
	}
}
