package render

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// slotted generates a service whose clients have slots.
func slotted() *rapid.Generator[config.Config] {
	return rapid.Custom(func(t *rapid.T) config.Config {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 30).Draw(t, "weights")
		algorithm := rapid.SampledFrom([]config.Algorithm{config.Source, config.Flow}).Draw(t, "algorithm")
		cfg := everyProtocol(oneService(algorithm, weights...))
		return withSlots(cfg, 128<<rapid.IntRange(0, 2).Draw(t, "slots"))
	})
}

// TestDrainChangesLeaves drains some backends of any service: the leaves in which they own
// slots change, their own chains go, and no other chain is touched. What was theirs goes to
// others, and no other slot moves.
func TestDrainChangesLeaves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := slotted().Draw(t, "config")
		drained := config.Config{Services: slices.Clone(cfg.Services)}
		service := &drained.Services[0]
		service.Backends = slices.Clone(service.Backends)
		for i := range service.Backends[1:] {
			service.Backends[i].Drain = rapid.Bool().Draw(t, "drain")
		}
		before, after := New(cfg).IPv4, New(drained).IPv4
		for name := range differing(before, after) {
			_, stays := after.Chain(name)
			if leaf, backend := strings.Contains(name, "webT"), strings.Contains(name, "webZ"); !leaf && !(backend && !stays) {
				t.Fatalf("chain %s changes", name)
			}
		}
		mustBeSound(t, after, New(drained).IPv4)
		was, is := cfg.Services[0].Owners(), service.Owners()
		for slot := range was {
			if was[slot] != is[slot] && !service.Backends[was[slot]].Drain {
				t.Fatalf("slot %d moves", slot)
			}
		}
	})
}

// TestOneMoreKeepsNames adds a backend: the chains of the others keep their names, and the
// tree above the leaves stays as it is, unless two names meet.
func TestOneMoreKeepsNames(t *testing.T) {
	cfg := withSlots(oneService(config.Source, 1, 1, 1, 1), 256)
	more := withSlots(oneService(config.Source, 1, 1, 1, 1, 1), 256)
	var came []string
	for name := range differing(New(cfg).IPv4, New(more).IPv4) {
		if !strings.Contains(name, "webT") {
			came = append(came, name)
		}
	}
	if len(came) != 1 || !strings.Contains(came[0], "webZ") {
		t.Errorf("chains %v change", came)
	}
}

// TestSameAddressOfTwoServices leads a client to the same address by http and https, whose
// backends have the same addresses in another order.
func TestSameAddressOfTwoServices(t *testing.T) {
	cfg, err := config.Parse("f.toml", []byte(`
[[service]]
name = "http"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }, "10.0.0.3:80"]
algorithm = "source"

[[service]]
name = "https"
listen = "192.0.2.10:443"
protocol = ["tcp", "udp"]
backends = ["10.0.0.3:8443", "10.0.0.1:443", { address = "10.0.0.2:443", weight = 3 }]
algorithm = "source"
`))
	if err != nil {
		t.Fatal(err)
	}
	plan := New(cfg)
	met := map[netip.Addr]bool{}
	for n := range 300 {
		client := netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)})
		var of []netip.Addr
		for _, asked := range []rules.Packet{{Port: 80, Protocol: "tcp"}, {Port: 443, Protocol: "tcp"}, {Port: 443, Protocol: "udp"}} {
			asked.Destination, asked.Source = cfg.Services[0].Listen[0].Addr, client
			target := (&kernel{table: plan.IPv4, seen: map[*rules.Rule]uint32{}}).send(t, rules.ServicePre, asked)
			of = append(of, target.Address)
		}
		if of[0] != of[1] || of[0] != of[2] {
			t.Fatalf("%v gets %v", client, of)
		}
		met[of[0]] = true
	}
	if len(met) != 3 {
		t.Errorf("300 clients meet %v only", slices.Collect(maps.Keys(met)))
	}
}

// TestSlotRules counts the rules of a service: what a table costs to load.
func TestSlotRules(t *testing.T) {
	for _, test := range []struct{ backends, slots, least, most int }{
		{3, 256, 170, 185}, {10, 256, 235, 255}, {3, 64, 44, 54}, {100, 1024, 1150, 1250},
	} {
		count := 0
		for _, chain := range New(withSlots(oneService(config.Source, slices.Repeat([]int{1}, test.backends)...), test.slots)).IPv4.Chains {
			if rules.ServiceOf(chain.Name) == "web" {
				count += len(chain.Rules)
			}
		}
		if count < test.least || count > test.most {
			t.Errorf("%d backends with %d slots take %d rules", test.backends, test.slots, count)
		}
	}
}
