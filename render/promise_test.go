package render

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"natspread/config"
	"natspread/internal/configtest"
	"natspread/nat"
)

// TestPromises tries every promise of a plan on configs that are made up.
func TestPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { mustKeepPromises(t, configtest.Config().Draw(t, "config")) })
}

// mustKeepPromises fails unless the plan of a config sends each connection where
// its service says, gives its source what snat says, leaves everyone else's alone,
// and comes back from its own text.
func mustKeepPromises(t rapid.TB, cfg config.Config) {
	t.Helper()
	plan, again := New(cfg), New(cfg)
	for _, family := range nat.Families() {
		table := plan.Table(family)
		if !bytes.Equal(table.Text(), again.Table(family).Text()) {
			t.Errorf("the %v table has another text the second time", family)
		}
		mustReadBack(t, table)
		mustSpread(t, cfg, table)
		mustRewriteSources(t, cfg, table)
		mustTakeTurns(t, cfg, table)
	}
}

// mustReadBack fails unless a table comes back whole from its text and from its
// file, and gives the same bytes again.
func mustReadBack(t rapid.TB, table nat.Table) {
	t.Helper()
	parsed, err := nat.Parse(table.Family, table.Text())
	if err != nil {
		t.Fatalf("cannot read back the %v table: %v", table.Family, err)
	}
	opened, err := nat.Open(table.Family, nat.Seal(table))
	if err != nil {
		t.Fatalf("cannot open the %v file: %v", table.Family, err)
	}
	for way, got := range map[string]nat.Table{"Parse": parsed, "Open": opened} {
		if !sameTable(got, table) {
			t.Errorf("%s gives another %v table:\n%s", way, table.Family, got.Text())
		}
		if !bytes.Equal(got.Text(), table.Text()) || !bytes.Equal(nat.Seal(got), nat.Seal(table)) {
			t.Errorf("the table from %s has other bytes", way)
		}
	}
}

// sameTable tells whether two tables have the same chains and rules.
func sameTable(a, b nat.Table) bool {
	if a.Family != b.Family || len(a.Chains) != len(b.Chains) {
		return false
	}
	for i := range a.Chains {
		if !a.Chains[i].Equal(b.Chains[i]) {
			return false
		}
	}
	return true
}

// TestSameBytes renders one config many times: nothing in it may hang on the
// order of a map, and the config itself stays as it was.
func TestSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		before := configtest.Text(cfg)
		first := New(cfg)
		for range 5 {
			if !reflect.DeepEqual(New(cfg), first) {
				t.Fatal("another plan for the same config")
			}
		}
		if !bytes.Equal(configtest.Text(cfg), before) {
			t.Error("rendering changed the config")
		}
	})
}

// servicesOf returns the services of a family, in file order.
func servicesOf(cfg config.Config, family nat.Family) []config.Service {
	var own []config.Service
	for _, service := range cfg.Services {
		if nat.FamilyOf(service.Backends[0].Addr) == family {
			own = append(own, service)
		}
	}
	return own
}

// weighted returns the backends with a weight, and the sum of the weights.
func weighted(service config.Service) (active []config.Backend, sum int) {
	for _, backend := range service.Backends {
		if backend.Weight > 0 {
			active = append(active, backend)
			sum += backend.Weight
		}
	}
	return active, sum
}
