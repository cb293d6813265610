package doctor

import (
	"net/netip"
	"testing"
)

// TestByDefault names the smallest prefix that has all backends of a route, unless that
// is everything.
func TestByDefault(t *testing.T) {
	for want, addrs := range map[string][]string{
		"ip route add 10.0.0.1/32 dev ppp0":     {"10.0.0.1"},
		"ip route add 10.0.0.0/30 dev ppp0":     {"10.0.0.1", "10.0.0.2", "10.0.0.3"},
		"ip route add 10.0.0.0/8 dev ppp0":      {"10.0.0.1", "10.255.0.1"},
		"":                                      {"10.0.0.1", "203.0.113.1"},
		"ip route add fd00::/126 dev ppp0":      {"fd00::1", "fd00::2"},
		"ip route add 2001:db8::1/128 dev ppp0": {"2001:db8::1"},
	} {
		var backends []netip.Addr
		for _, addr := range addrs {
			backends = append(backends, netip.MustParseAddr(addr))
		}
		if found := byDefault(backends, "dev ppp0"); found.Fix != want || found.Severity != Risk {
			t.Errorf("%v: %+v", addrs, found)
		}
	}
}
