package change

import (
	"time"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/render"
	"natspread/restore"
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
		if services, err := servicesOf(g); err == nil {
			known[g.Number] = services
		}
	}
	return known
}

// servicesOf returns what a generation's own config balances.
func servicesOf(g generation.Generation) ([]rules.VirtualService, error) {
	cfg, err := config.ParseGeneration(g.Number, g.Config)
	if err != nil {
		return nil, err
	}
	return render.VirtualServices(cfg.Services...), nil
}

// Again asks restore to load an older generation's rules and keep them as a new one. One of
// natspread 0.1 does not say what it balances: its config does, if it still parses.
func Again(g generation.Generation, command string) restore.Request {
	request := restore.Request{Tables: g.Tables, Services: g.Services, Config: g.Config, Command: command, Now: time.Now()}
	if request.Services == nil {
		if services, err := servicesOf(g); err == nil {
			request.Services = rules.EncodeServices(services)
		}
	}
	return request
}
