package render

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"natspread/config"
	"natspread/internal/configtest"
)

// TestLargePromises tries every promise on large configs, with the traffic of some of
// their services: most of a layout's branches are met by many services only.
func TestLargePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Large(configtest.Shapes()...).Draw(t, "config")
		layout := rapid.SampledFrom([]layout{measured, tiny}).Draw(t, "layout")
		mustKeep(t, cfg, someOf(cfg.Services, 4, rapid.Uint64().Draw(t, "seed")), layout)
	})
}

// TestLargestPromises tries them on the largest config of each shape.
func TestLargestPromises(t *testing.T) {
	for i, shape := range configtest.Shapes() {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			t.Parallel()
			cfg := configtest.Fill(shape, configtest.MaxServices, uint64(i))
			mustKeep(t, cfg, someOf(cfg.Services, 8, uint64(i)), measured)
		})
	}
}

// someOf returns so many of the services, or all if there are not as many.
func someOf(services []config.Service, count int, seed uint64) []config.Service {
	random := rand.New(rand.NewPCG(seed, 0))
	var some []config.Service
	for _, i := range random.Perm(len(services))[:min(count, len(services))] {
		some = append(some, services[i])
	}
	return some
}
