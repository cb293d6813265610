package render

import (
	"testing"

	"natspread/internal/config"
)

// FuzzRender holds the plan of whatever config.Parse takes to every promise.
func FuzzRender(f *testing.F) {
	f.Add(config.Example())
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := config.Parse("natspread.toml", data)
		if err != nil {
			return
		}
		if backends := size(cfg); backends > 200 {
			t.Skip("exact fractions of so many backends are slow: TestManyBackends has them")
		}
		mustKeepPromises(t, cfg)
	})
}

// size counts what the checks' time grows with.
func size(cfg config.Config) int {
	n := 0
	for _, service := range cfg.Services {
		n += (len(service.Backends) + len(service.Listen)) * len(service.Protocols) * max(1, len(service.Hairpin))
	}
	return n
}
