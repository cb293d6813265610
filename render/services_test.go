package render

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
)

// TestPools lists what services spread, in the order of the config.
func TestPools(t *testing.T) {
	cfg, err := config.Parse("f.toml", []byte(`
[[service]]
name = "web"
listen = ["192.0.2.10:80", "*:8000-8010"]
protocol = ["tcp", "udp"]
backends = ["10.0.0.1", { address = "10.0.0.2:80", weight = 0 }]
on_remove = "reset"

[[service]]
name = "web6"
listen = "[2001:db8::10]:80"
backends = ["[fd00::1]:80"]
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, pool := range VirtualServices(cfg.Services...) {
		got = append(got, fmt.Sprint(pool.Protocol, " ", pool.Address, " ", pool.Ports, " ", pool.Backends, " ", pool.Reset))
	}
	want := []string{
		"tcp 192.0.2.10 {80 80} [10.0.0.1:0 10.0.0.2:80] true",
		"udp 192.0.2.10 {80 80} [10.0.0.1:0 10.0.0.2:80] true",
		"tcp invalid IP {8000 8010} [10.0.0.1:0 10.0.0.2:80] true",
		"udp invalid IP {8000 8010} [10.0.0.1:0 10.0.0.2:80] true",
		"tcp 2001:db8::10 {80 80} [[fd00::1]:80] false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestPoolsAndRulesAgree holds pools to the rules of the same config: what the
// rules lead a packet to is in its pool, and the table translates it.
func TestPoolsAndRulesAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		plan := New(cfg)
		all := VirtualServices(cfg.Services...)
		for _, pool := range all {
			family := rules.FamilyOf(pool.Backends[0].Addr())
			owner := slices.IndexFunc(cfg.Services, func(s config.Service) bool { return s.Name == pool.Service })
			client, found := servedClient(cfg.Services[owner])
			if !found {
				continue
			}
			packet := rules.Packet{Protocol: pool.Protocol, Destination: pool.Address, Port: pool.Ports.Last, Source: client}
			if !pool.Address.IsValid() {
				packet.Destination, packet.Local = stranger(family), true
			}
			for _, other := range all {
				if other.Service != pool.Service && other.Address == pool.Address && other.Protocol == pool.Protocol && other.Ports == pool.Ports {
					pool.Backends = slices.Concat(pool.Backends, other.Backends)
				}
			}
			table := plan.Of(family)
			if !table.CanTranslate(rules.Prerouting, packet) && !table.CanStay(rules.Prerouting, packet) {
				t.Fatalf("%+v is not translated", packet)
			}
			for _, service := range cfg.Services {
				for _, packet.InInterface = range links(service) {
					mustStayInPool(t, table, packet, pool)
				}
			}
		}
	})
}

// mustStayInPool walks a packet, and fails where it leaves the backends of a pool.
func mustStayInPool(t *rapid.T, table rules.Table, packet rules.Packet, pool rules.VirtualService) {
	t.Helper()
	outcomes, err := walkTo(table, rules.Prerouting, packet)
	if err != nil {
		t.Fatal(err)
	}
	for _, outcome := range outcomes {
		if outcome.Target.Kind == rules.DNAT && !slices.ContainsFunc(pool.Backends, func(b netip.AddrPort) bool {
			return b.Addr() == outcome.Target.Address && b.Port() == outcome.Target.Port
		}) {
			t.Fatalf("%+v goes to %+v, which is not in %+v", packet, outcome.Target, pool)
		}
	}
}
