package doctor

import (
	"net/netip"
	"testing"

	"natspread/internal/config"
	"natspread/internal/network"
)

// TestTakesLogin tells by interface and namespace whether a service takes the port of an ssh
// connection. After one whose way back is not known, or that is the host itself, the next may
// come in anywhere.
func TestTakesLogin(t *testing.T) {
	const any = "*"
	n := twoLinks()
	near, far := netip.MustParseAddr("192.0.2.99"), netip.MustParseAddr("203.0.113.5")
	n.Known[near] = network.Lookup{Route: network.Route{Link: "front"}}
	n.Known[far] = network.Lookup{Err: network.ErrNoRoute}
	n.Known[netip.MustParseAddr("192.0.2.10")] = network.Lookup{Route: network.Route{Local: true, Link: "lo"}}
	for _, c := range []struct {
		listen, by     string
		client, server string
		want           bool
	}{
		{any, "", "192.0.2.99", "192.0.2.10", true}, {"192.0.2.10", "", "192.0.2.99", "192.0.2.10", true},
		{any, "", "192.0.2.99", "198.51.100.7", false}, {"198.51.100.7", "", "192.0.2.99", "198.51.100.7", true},
		{"10.0.0.254", "", "192.0.2.99", "192.0.2.10", false}, {any, "front", "192.0.2.99", "192.0.2.10", true},
		{any, "back", "192.0.2.99", "192.0.2.10", false}, {any, "back", "203.0.113.5", "192.0.2.10", true},
		{any, "front", "192.0.2.99", "10.0.0.254", true}, {any, "back", "192.0.2.10", "192.0.2.10", true},
	} {
		service := webService()
		service.Listen = []config.Listen{listenOf(netip.Addr{}, 22, 22)}
		if c.by != "" {
			service.Interfaces = []string{"eth7", c.by}
		}
		if c.listen != any {
			service.Listen[0].Addr = netip.MustParseAddr(c.listen)
		}
		login := network.Login{Client: netip.AddrPortFrom(netip.MustParseAddr(c.client), 40000), Server: netip.AddrPortFrom(netip.MustParseAddr(c.server), 22)}
		other := service // that comes in by another interface
		other.Interfaces = []string{"eth8"}
		for _, services := range [][]config.Service{{service}, {other, service}} {
			if _, takes := takesLogin(n, login, services); takes != c.want {
				t.Errorf("%+v, one of %d services: %v", c, len(services), takes)
			}
		}
	}
}
