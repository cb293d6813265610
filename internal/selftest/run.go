package selftest

import (
	"context"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/traffic"
	"natspread/restore/iptables"
)

// Run tries some services of a config with the tables that an apply of it would load.
func Run(ctx context.Context, kernel iptables.Kernel, cfg config.Config, tables rules.Tables, all []config.Service) (Result, error) {
	chosen := some(all, maxServices)
	w := newWorld(cfg, chosen, hostAddresses())
	var scenes []*scene
	for _, service := range chosen {
		scenes = append(scenes, newScene(w, service, connections(service, len(chosen)), traffic.HasSCTP()))
	}
	asks, err := play(ctx, kernel, tables, w, scenes)
	if err != nil {
		return Result{}, err
	}
	result := Result{Variant: kernel.Variant, Good: true, LeftOut: len(all) - len(chosen)}
	for _, scene := range scenes {
		judged := judge(scene, asks[scene], tailOf(scenes))
		result.Services = append(result.Services, judged)
		result.Good = result.Good && len(judged.Findings) == 0
	}
	return result, nil
}

// connections returns how many connections of a service are counted, of so many services.
func connections(service config.Service, services int) int {
	return min(max(fewConnections, eachBackend*len(service.Active())), maxConnections/services)
}

// tailOf returns how rarely each share may fall out on one side by chance alone.
func tailOf(scenes []*scene) float64 {
	shares := 0
	for _, scene := range scenes {
		shares += len(scene.service.Backends)
	}
	return alarm / float64(2*shares)
}

// play builds the world, loads the tables, and makes the connections of each service.
func play(ctx context.Context, kernel iptables.Kernel, tables rules.Tables, w *world, scenes []*scene) (map[*scene][]*ask, error) {
	stage, err := newStage(w)
	defer stage.close()
	if err != nil {
		return nil, err
	}
	if err := stage.balancer.Do(func() error { return kernel.LoadNew(ctx, tables) }); err != nil {
		return nil, err
	}
	asks := map[*scene][]*ask{}
	var all []*ask
	for _, scene := range scenes {
		if err := stage.serve(scene); err != nil {
			return nil, err
		}
		asks[scene] = asksOf(scene)
		all = append(all, asks[scene]...)
	}
	return asks, stage.run(ctx, all)
}
