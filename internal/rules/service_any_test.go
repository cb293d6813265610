package rules_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/render"
)

// TestServicesOfEveryConfig reads back what any checked config balances, and writes the
// same bytes again.
func TestServicesOfEveryConfig(t *testing.T) {
	same := cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})
	rapid.Check(t, func(t *rapid.T) {
		services := render.VirtualServices(configtest.Config().Draw(t, "config").Services...)
		file := rules.EncodeServices(services)
		decoded, err := rules.DecodeServices(file)
		if err != nil {
			t.Fatalf("%v in\n%s", err, file)
		}
		if diff := cmp.Diff(services, decoded, same); diff != "" {
			t.Fatalf("encoded -, decoded +:\n%s", diff)
		}
		if again := rules.EncodeServices(decoded); !bytes.Equal(again, file) {
			t.Fatalf("written as\n%s, and then as\n%s", file, again)
		}
	})
}
