package compare_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/compare"
	"natspread/internal/config"
	"natspread/internal/test/configtest"
)

// TestChangesAny compares any two configs: there is no change exactly if they say the
// same, whatever the order of the services, and the shares of a service add up to all.
func TestChangesAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := configtest.Config().Draw(t, "before"), configtest.Config().Draw(t, "after")
		if rapid.Bool().Draw(t, "shuffled") {
			after = config.Config{Services: rapid.Permutation(before.Services).Draw(t, "services")}
		}
		changes := compare.Configs(before, after)
		if same := sorted(before).Equivalent(sorted(after)); same != (len(changes) == 0) {
			t.Fatalf("same: %v, but changes: %+v", same, changes)
		}
		if len(compare.Configs(after, before)) != len(changes) {
			t.Fatal("there are not as many changes the other way")
		}
		for _, change := range changes {
			was, is := 0.0, 0.0
			for _, backend := range change.Backends {
				if backend.Before != nil {
					was += backend.Before.Share
				}
				if backend.After != nil {
					is += backend.After.Share
				}
			}
			for _, sum := range []float64{was, is} {
				if sum != 0 && math.Abs(sum-1) > 1e-9 {
					t.Fatalf("shares of %s add up to %v and %v", change.Name(), was, is)
				}
			}
		}
	})
}

// sorted returns a config with its services in the order of their names.
func sorted(cfg config.Config) config.Config {
	services := slices.Clone(cfg.Services)
	slices.SortFunc(services, func(a, b config.Service) int { return strings.Compare(a.Name, b.Name) })
	return config.Config{Services: services}
}
