package render

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/internal/test/testsize"
)

// TestPromises tries every promise of a plan on configs that are made up.
func TestPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		if testsize.Whole() {
			mustKeepPromises(t, cfg)
			return
		}
		mustKeep(t, cfg, cfg.Services, rapid.SampledFrom([]limits{measured, tiny}).Draw(t, "layout"))
	})
}

// tiny is a layout of which every branch is tried by small configs, too.
var tiny = limits{entries: 0, leaf: 1, backends: 2, pick: 2}

// mustKeepPromises fails unless the plan of a config sends each connection where
// its service says, gives its source what snat says, leaves everyone else's alone,
// and comes back from its own text.
func mustKeepPromises(t rapid.TB, cfg config.Config) {
	t.Helper()
	for _, layout := range []limits{measured, tiny} {
		mustKeep(t, cfg, cfg.Services, layout)
	}
}

// mustKeep is mustKeepPromises in one layout, and with the traffic of some services. It
// returns the plan.
func mustKeep(t rapid.TB, cfg config.Config, some []config.Service, layout limits) rules.Tables {
	t.Helper()
	plan, again := layout.plan(cfg), layout.plan(cfg)
	for _, family := range rules.Families() {
		table, filter, mangle := plan.Of(family), plan.Filter(family), plan.Mangle(family)
		mustBeSound(t, table, again.Of(family))
		mustBeSound(t, filter, again.Filter(family))
		mustBeSound(t, mangle, again.Mangle(family))
		owners := ownersOf(servicesOf(cfg, family))
		some := servicesOf(config.Config{Services: some}, family)
		packets := leaving(some, family)
		mustLetThrough(t, owners, packets, filter)
		mustClamp(t, owners, packets, mangle)
		mustLetRelated(t, servicesOf(cfg, family), some, filter)
		mustSpread(t, owners, some, table)
		mustRewriteSources(t, owners, packets, table)
		mustTakeTurns(t, some, table)
		mustTakeOver(t, some, table, filter)
	}
	return plan
}

// mustBeSound fails unless a table is the same as a second one of the same config, comes
// back from its own text, and fits into the kernel.
func mustBeSound(t rapid.TB, table, again rules.Table) {
	t.Helper()
	if !sameTable(table, again) {
		t.Errorf("the %s table is another one the second time", table.String())
	}
	mustReadBack(t, table)
	mustFit(t, table)
}

// mustReadBack fails unless a table comes back whole from its text and from its
// file, and gives the same bytes again.
func mustReadBack(t rapid.TB, table rules.Table) {
	t.Helper()
	parsed, err := rules.Parse(table.Family, table.Name, table.Text())
	if err != nil {
		t.Fatalf("cannot read back the %v table: %v", table.Family, err)
	}
	file := rules.EncodeFile(table)
	opened, err := rules.DecodeFile(table.Family, table.Name, file)
	if err != nil {
		t.Fatalf("cannot open the %v file: %v", table.Family, err)
	}
	for way, got := range map[string]rules.Table{"Parse": parsed, "DecodeFile": opened} {
		if !sameTable(got, table) {
			t.Errorf("%s gives another %v table:\n%s", way, table.Family, got.Text())
		}
		if !bytes.Equal(rules.EncodeFile(got), file) { // the text is in it
			t.Errorf("the table from %s has other bytes", way)
		}
	}
}

// mustFit fails unless the kernel can hold a table: names that differ and are short
// enough, ways that are short enough, and no chain that nothing leads to.
func mustFit(t rapid.TB, table rules.Table) {
	t.Helper()
	if table.Empty() {
		return
	}
	depths := map[string]int{}
	for _, builtIn := range table.Name.BuiltIn() {
		for _, jump := range table.Jumps(builtIn) {
			measureDepths(t, table, jump.Target.Chain, 1, depths)
		}
	}
	for i, chain := range table.Chains {
		switch depth := depths[chain.Name]; {
		case i > 0 && table.Chains[i-1].Name >= chain.Name:
			t.Fatalf("chain %s stands behind %s", chain.Name, table.Chains[i-1].Name)
		case len(chain.Name) > rules.MaxChain:
			t.Fatalf("chain %s has %d bytes", chain.Name, len(chain.Name))
		case depth == 0:
			t.Fatalf("nothing leads to chain %s", chain.Name)
		case depth > rules.MaxDepth:
			t.Fatalf("chain %s is the %dth on its way", chain.Name, depth)
		}
	}
}

// measureDepths notes how many own chains lead to each, at most.
func measureDepths(t rapid.TB, table rules.Table, name string, depth int, depths map[string]int) {
	t.Helper()
	chain, found := table.Chain(name)
	if !found {
		t.Fatalf("there is no chain %s", name)
	}
	if depth <= depths[name] {
		return
	}
	depths[name] = depth
	for _, rule := range chain.Rules {
		if rule.Target.Chain != "" {
			measureDepths(t, table, rule.Target.Chain, depth+1, depths)
		}
	}
}

// sameTable tells whether two tables have the same chains and rules.
func sameTable(a, b rules.Table) bool {
	if a.Family != b.Family || a.Name != b.Name || len(a.Chains) != len(b.Chains) {
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
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		before := configtest.Text(cfg)
		first := New(cfg)
		for range testsize.Of(1, 5) { // TestPromises makes each plan twice, too
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
func servicesOf(cfg config.Config, family rules.Family) []config.Service {
	var own []config.Service
	for _, service := range cfg.Services {
		if rules.FamilyOf(service.Backends[0].Addr) == family {
			own = append(own, service)
		}
	}
	return own
}

// weighted returns the backends that get new connections, and the sum of their weights: those
// that are no backups, and backups that have joined or are all there is.
func weighted(service config.Service) (active []config.Backend, sum int) {
	first := func(b config.Backend) bool { return !b.Backup && b.ActiveWeight() > 0 }
	for _, backend := range service.Backends {
		if backend.Backup && !backend.Joined && slices.ContainsFunc(service.Backends, first) {
			continue
		}
		if weight := backend.ActiveWeight(); weight > 0 {
			active = append(active, backend)
			sum += weight
		}
	}
	return active, sum
}
