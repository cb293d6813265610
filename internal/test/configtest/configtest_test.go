package configtest

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"natspread/internal/config"
)

// TestConfigIsValid holds the generator to its word: its configs come back from
// config.Parse as they are.
func TestConfigIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { mustBeValid(t, Config().Draw(t, "config")) })
}

// TestLargeIsValid holds the other generator to the same, for every shape and the
// largest configs.
func TestLargeIsValid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { mustBeValid(t, Large(Shapes()...).Draw(t, "config")) })
	for _, shape := range Shapes() {
		t.Run(shape.String(), func(t *testing.T) { mustBeValid(t, Fill(shape, MostServices(), 1)) })
	}
}

// mustBeValid fails unless a config comes back from its text.
func mustBeValid(t rapid.TB, want config.Config) {
	t.Helper()
	got, err := config.Parse("natspread.toml", Text(want))
	if err != nil {
		t.Fatal(err)
	}
	same := cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
	if diff := cmp.Diff(want, got, same, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("generated -, parsed +:\n%s", diff)
	}
}
