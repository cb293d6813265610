package change

import (
	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/render"
	"natspread/restore/generation"
)

// KnownServices returns what those generations balance that a change may replace and that
// have no services file, because natspread 0.1 wrote them: by number, from their own
// configs. One whose config no longer parses is left out.
func KnownServices(store generation.Store) map[int][]rules.VirtualService {
	known := map[int][]rules.VirtualService{}
	wanted := store.Wanted()
	for _, g := range []generation.Generation{wanted.Generation, wanted.Boot} {
		if g.Number == 0 || g.Services != nil {
			continue
		}
		if cfg, err := config.Parse("natspread.toml", g.Config); err == nil {
			known[g.Number] = render.VirtualServices(cfg.Services...)
		}
	}
	return known
}
