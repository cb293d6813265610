package render

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
)

// TestSmallChange adds, takes out or changes one of many services: no more chains change
// than the service's own and those on the ways to it. That holds where trees part at
// fixed places, and so for all but combs and what is as deep as they are.
func TestSmallChange(t *testing.T) {
	t.Parallel()
	drawn, tried := 0, 0
	shapes := configtest.Shapes()[:configtest.Comb]
	rapid.Check(t, func(t *rapid.T) {
		drawn++
		cfg := configtest.Large(shapes...).Draw(t, "config")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		layout := rapid.SampledFrom([]limits{measured, tiny}).Draw(t, "layout")
		at := random.IntN(len(cfg.Services))
		if !partsAtFixedPlaces(layout, cfg) {
			return
		}
		before := layout.plan(cfg)
		for how, changed := range changes(random, cfg, at) {
			if !partsAtFixedPlaces(layout, changed) { // the change itself makes a tree too deep
				continue
			}
			tried++
			mustChangeLittle(t, how, layout, before, layout.plan(changed), cfg.Services[at])
		}
	})
	if tried < 2*drawn {
		t.Errorf("of %d configs only %d changes were tried", drawn, tried)
	}
}

// changes returns a config without one of its services, and with another weight and
// with another backend in it. New weights are multiples of what divides the others, or a
// period of round-robin would have more turns than config.Parse takes.
func changes(random *rand.Rand, cfg config.Config, at int) map[string]config.Config {
	without, weighed, longer := slices.Clone(cfg.Services), slices.Clone(cfg.Services), slices.Clone(cfg.Services)
	backends := cfg.Services[at].Backends
	weighed[at].Backends = slices.Clone(backends)
	_, divisor := config.Turns(backends)
	weighed[at].Backends[random.IntN(len(backends))].Weight = divisor * (1 + random.IntN(9))
	another := config.Backend{Addr: netip.MustParseAddr("10.200.0.1"), Port: 80, Weight: divisor}
	if cfg.Services[at].Is6() {
		another.Addr = netip.MustParseAddr("fd00::c8:1")
	}
	longer[at].Backends = append(slices.Clone(backends), another)
	return map[string]config.Config{
		"without":      {Services: slices.Delete(without, at, at+1)},
		"weight":       {Services: weighed},
		"backend more": {Services: longer},
	}
}

// partsAtFixedPlaces tells whether no tree of a config would become too deep for that.
func partsAtFixedPlaces(layout limits, cfg config.Config) bool {
	for _, family := range rules.Families() {
		services := servicesOf(cfg, family)
		for _, entries := range [][]dispatchEntry{incoming(services), outgoing(services), translated(services), forwarded(services), related(services), clamped(services)} {
			for _, part := range partsOf(entries) {
				if height(sortAndJoin(part), layout.leaf) > treeDepth {
					return false
				}
			}
		}
	}
	return true
}

// mustChangeLittle fails if two plans differ in more chains than the changed service's
// own and those on the ways to it.
func mustChangeLittle(t rapid.TB, how string, layout limits, before, after rules.Tables, service config.Service) {
	t.Helper()
	changed := 0
	for _, family := range rules.Families() {
		for name := range differing(before.Of(family), after.Of(family)) {
			if rules.ServiceOf(name) != service.Name {
				changed++
			}
		}
		changed += len(differing(before.Filter(family), after.Filter(family))) + len(differing(before.Mangle(family), after.Mangle(family)))
	}
	// A list that becomes a tree, and on each way fanOut chains a level: a last chain
	// whose rules were joined may part all the way down.
	most := 4*layout.entries + waysTo(service)*(1+fanOut*treeDepth)
	if changed > most {
		t.Fatalf("%s: %d chains of others changed for service %+v, want at most %d", how, changed, service, most)
	}
}

// waysTo returns by how many ways dispatch trees lead to a service: from PRE, OUT, POST, and FORWARD
// of the filter table and of the mangle table. In the last three the backends tell a service on "*".
// They also tell what a helper expects of a service that FORWARD lets through, each way.
func waysTo(service config.Service) int {
	ways, related := 0, 0
	if service.Forward == config.Accept {
		related = 2 * len(service.Backends)
	}
	for _, listen := range service.Listen {
		ways += 5
		if listen.Any() {
			ways += 3 * len(service.Backends)
		}
	}
	return ways*len(service.Protocols) + related
}

// differing returns the names of chains that two tables do not have alike.
func differing(a, b rules.Table) map[string]bool {
	names := map[string]bool{}
	for _, way := range [][2]rules.Table{{a, b}, {b, a}} {
		for _, chain := range way[0].Chains {
			if other, found := way[1].Chain(chain.Name); !found || !chain.Equal(other) {
				names[chain.Name] = true
			}
		}
	}
	return names
}
