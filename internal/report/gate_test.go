package report

import (
	"net/netip"
	"testing"

	"natspread/internal/config"
)

// TestGateText says whom a service is for, by name or by number.
func TestGateText(t *testing.T) {
	subnet := netip.MustParsePrefix("198.51.100.0/24")
	for want, service := range map[string]config.Service{
		"":                                     {},
		", allow 198.51.100.0/24":              {Allow: []netip.Prefix{subnet}, Refused: config.Reject},
		", deny 4 subnets, others to the host": {Deny: []netip.Prefix{subnet, subnet, subnet, subnet}, Refused: config.ToHost},
		", allow 198.51.100.0/24, deny 198.51.100.0/24": {Allow: []netip.Prefix{subnet}, Deny: []netip.Prefix{subnet}, Refused: config.Reject},
	} {
		if got := gateText(service); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
