package render

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/internal/test/testsize"
)

// reseated returns a config in which services at some places give new connections to others of
// their backends, as health checks and drain do: some are out, some backups have joined, and
// now and then nobody is left.
func reseated(random *rand.Rand, cfg config.Config, places []int) config.Config {
	changed := config.Config{Services: slices.Clone(cfg.Services)}
	for _, place := range places {
		service := &changed.Services[place]
		service.Backends = slices.Clone(service.Backends)
		out := random.IntN(4) // none, some, most, all
		for i := range service.Backends {
			b := &service.Backends[i]
			b.Drain, b.Out = random.IntN(6) < out, random.IntN(6) < out
			b.Joined = b.Backup && !b.Drain && !b.Out && random.IntN(2) == 0
		}
	}
	return changed
}

// mustUpdate fails unless Update gives what New does.
func mustUpdate(t rapid.TB, l limits, before rules.Tables, cfg config.Config, places []int) rules.Tables {
	t.Helper()
	got, want := l.update(before, cfg, places), l.plan(cfg)
	if !got.Equal(want) {
		for _, family := range rules.Families() {
			for name := range differing(got.Of(family), want.Of(family)) {
				is, _ := got.Of(family).Chain(name)
				wanted, _ := want.Of(family).Chain(name)
				t.Errorf("%v: chain %s is\n%s, not\n%s", family, name, is.AppendText(nil), wanted.AppendText(nil))
			}
		}
		t.Fatalf("services %v changed", places)
	}
	return got
}

// TestUpdate changes services of any config, time and again: the tables are those that New
// plans of all.
func TestUpdate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		layout := rapid.SampledFrom([]limits{measured, tiny}).Draw(t, "layout")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		tables := layout.plan(cfg)
		for range 4 {
			places := random.Perm(len(cfg.Services))[:random.IntN(len(cfg.Services)+1)]
			cfg = reseated(random, cfg, places)
			tables = mustUpdate(t, layout, tables, cfg, places)
		}
	})
}

// TestUpdateLarge does the same with large configs of each shape, and a few of their services.
func TestUpdateLarge(t *testing.T) {
	t.Parallel()
	for _, shape := range configtest.Shapes() {
		for _, layout := range []limits{measured, tiny} {
			cfg := configtest.Fill(shape, configtest.MostServices(), 7)
			random := rand.New(rand.NewPCG(7, uint64(shape)))
			tables := layout.plan(cfg)
			for range testsize.Of(1, 5) {
				places := random.Perm(len(cfg.Services))[:1+random.IntN(3)]
				cfg = reseated(random, cfg, places)
				tables = mustUpdate(t, layout, tables, cfg, places)
			}
		}
	}
}

// TestUpdateFew crosses the bounds up to which POST is a list, both ways, with services on "*"
// whose backends come and go.
func TestUpdateFew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Fill(rapid.SampledFrom([]configtest.Shape{configtest.Any, configtest.Mixed}).Draw(t, "shape"),
			rapid.IntRange(1, 8).Draw(t, "services"), rapid.Uint64().Draw(t, "seed"))
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		tables := New(cfg)
		for range 8 {
			places := []int{random.IntN(len(cfg.Services))}
			cfg = reseated(random, cfg, places)
			tables = mustUpdate(t, measured, tables, cfg, places)
		}
	})
}

// TestUpdateKeeps wants the chains that do not change to be those of before, so that whoever
// compares the two sees at once that they are the same.
func TestUpdateKeeps(t *testing.T) {
	t.Parallel()
	cfg := manyServices(1000)
	before, again := New(cfg), New(cfg)
	cfg.Services[500].Backends = slices.Clone(cfg.Services[500].Backends)
	cfg.Services[500].Backends[1].Drain = true
	after := Update(before, cfg, []int{500})
	if !before.Equal(again) {
		t.Error("the tables before are others now")
	}
	own := 0
	for i, chain := range after.IPv4.Chains {
		switch {
		case rules.ServiceOf(chain.Name) == "s500":
			own++
		case &chain.Rules[0] != &before.IPv4.Chains[i].Rules[0]:
			t.Errorf("chain %s has new rules", chain.Name)
		}
	}
	if own != 1 || len(after.IPv4.Chains) != len(before.IPv4.Chains) {
		t.Errorf("%d chains of the service, %d of all", own, len(after.IPv4.Chains))
	}
}

// TestWhoeverIsOut renders what health may make of any config: each packet goes to backends that
// are in service, at their shares (mustSpread), and none to one that is out, or to a backup that
// has not joined; and neither the filter nor the mangle tables nor what the generation says of its
// services change.
func TestWhoeverIsOut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		layout := rapid.SampledFrom([]limits{measured, tiny}).Draw(t, "layout")
		made := reseated(random, cfg, random.Perm(len(cfg.Services)))
		plan, before := mustKeep(t, made, someOf(made.Services, 2, random.Uint64()), layout), layout.plan(cfg)
		for _, family := range rules.Families() {
			if !sameTable(plan.Filter(family), before.Filter(family)) || !sameTable(plan.Mangle(family), before.Mangle(family)) {
				t.Fatalf("the %v filter or mangle table is another one", family)
			}
		}
		if !reflect.DeepEqual(VirtualServices(cfg.Services...), VirtualServices(made.Services...)) {
			t.Fatal("the services are others")
		}
	})
}
