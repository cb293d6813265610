package report

import (
	"net/netip"
	"testing"

	"natspread/internal/config"
)

// TestGateText says whom a service is for, by name or by number.
func TestGateText(t *testing.T) {
	subnet := netip.MustParsePrefix("198.51.100.0/24")
	for want, whom := range map[string]struct {
		allow, deny []netip.Prefix
		refused     config.Refused
		links       []string
	}{
		"":                                     {},
		", by eth0 wg+, allow 198.51.100.0/24": {links: []string{"eth0", "wg+"}, allow: []netip.Prefix{subnet}, refused: config.Reject},
		", allow 198.51.100.0/24":              {[]netip.Prefix{subnet}, nil, config.Reject, nil},
		", deny 4 subnets, others to the host": {nil, []netip.Prefix{subnet, subnet, subnet, subnet}, config.ToHost, nil},
		", allow 198.51.100.0/24, deny 198.51.100.0/24": {[]netip.Prefix{subnet}, []netip.Prefix{subnet}, config.Reject, nil},
	} {
		service := config.Service{Refused: whom.refused}
		service.Interfaces, service.Allow, service.Deny = whom.links, whom.allow, whom.deny
		if got := gateText(service); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
