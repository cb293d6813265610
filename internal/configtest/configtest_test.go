package configtest

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"natspread/config"
)

// TestConfigIsValid holds the generator to its word: its configs come back from
// config.Parse as they are.
func TestConfigIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Config().Draw(t, "config")
		got, err := config.Parse("natspread.toml", Text(want))
		if err != nil {
			t.Fatal(err)
		}
		same := cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
		if diff := cmp.Diff(want, got, same, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("generated -, parsed +:\n%s", diff)
		}
	})
}
