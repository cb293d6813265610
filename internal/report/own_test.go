package report

import (
	"net/netip"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// TestOwnShareCounts gives a backend that is the listen address what its accept counted, also where ports
// are mapped and only one of them stays.
func TestOwnShareCounts(t *testing.T) {
	cfg, err := config.Parse("f.toml", []byte(`
[[service]]
name = "web"
listen = "192.0.2.10:443"
backends = ["192.0.2.10:443", "192.0.2.10:21195", "10.0.0.1:443"]

[[service]]
name = "mapped"
listen = "192.0.2.10"
ports = { 80 = 80, 444 = 8444 }
backends = ["192.0.2.10", "10.0.0.1"]
`))
	if err != nil {
		t.Fatal(err)
	}
	own, other := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("10.0.0.1")
	to := func(address netip.Addr, port uint16) rules.Target {
		return rules.Target{Kind: rules.DNAT, Address: address, Port: port}
	}
	for i, test := range []struct {
		counted map[rules.Target]uint64
		want    []uint64
	}{
		{map[rules.Target]uint64{to(own, 0): 5, to(own, 21195): 3, to(other, 443): 2}, []uint64{5, 3, 2}},
		{map[rules.Target]uint64{to(own, 0): 5, to(own, 8444): 3, to(other, 80): 1, to(other, 8444): 1}, []uint64{8, 2}},
	} {
		described := describe(cfg.Services[i], test.counted, watched{})
		for j, want := range test.want {
			if got := described.Backends[j].Connections; got != want {
				t.Errorf("%s, %s: %d connections, want %d", described.Name, described.Backends[j].Address, got, want)
			}
		}
	}
}
