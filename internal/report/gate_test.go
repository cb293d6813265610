package report

import (
	"net/netip"
	"testing"

	"natspread/internal/config"
	"natspread/internal/config/audience"
)

// TestGateText says whom a service is for, by name or by number.
func TestGateText(t *testing.T) {
	subnet := netip.MustParsePrefix("198.51.100.0/24")
	one, four := []netip.Prefix{subnet}, []netip.Prefix{subnet, subnet, subnet, subnet}
	for want, service := range map[string]config.Service{
		"":                                     {},
		", by eth0 wg+, allow 198.51.100.0/24": {Audience: audience.Audience{Interfaces: []string{"eth0", "wg+"}, Allow: one}, Refused: config.Reject},
		", allow 198.51.100.0/24":              {Audience: audience.Audience{Allow: one}, Refused: config.Reject},
		", deny 4 subnets, others to the host": {Audience: audience.Audience{Deny: four}, Refused: config.ToHost},
		", allow 198.51.100.0/24, deny 198.51.100.0/24": {Audience: audience.Audience{Allow: one, Deny: one}, Refused: config.Reject},
	} {
		if got := gateText(service); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
