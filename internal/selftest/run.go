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
	w := newTopology(cfg, chosen, hostAddresses())
	var tests []*serviceTest
	for _, service := range chosen {
		tests = append(tests, newServiceTest(w, service, connections(service, len(chosen)), traffic.HasSCTP()))
	}
	asks, err := makeConnections(ctx, kernel, tables, w, tests)
	if err != nil {
		return Result{}, err
	}
	result := Result{Variant: kernel.Variant, Good: true, LeftOut: len(all) - len(chosen)}
	for _, test := range tests {
		judged := judge(test, asks[test], tailOf(tests))
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
func tailOf(tests []*serviceTest) float64 {
	shares := 0
	for _, test := range tests {
		shares += len(test.service.Backends)
	}
	return alarm / float64(2*shares)
}

// makeConnections builds the topology, loads the tables, and makes the connections of each service.
func makeConnections(ctx context.Context, kernel iptables.Kernel, tables rules.Tables, w *topology, tests []*serviceTest) (map[*serviceTest][]*ask, error) {
	testbed, err := newTestbed(w)
	defer testbed.close()
	if err != nil {
		return nil, err
	}
	if err := testbed.balancer.Do(func() error { return kernel.LoadNew(ctx, tables) }); err != nil {
		return nil, err
	}
	asks := map[*serviceTest][]*ask{}
	var all []*ask
	for _, test := range tests {
		if err := testbed.serve(test); err != nil {
			return nil, err
		}
		asks[test] = asksOf(test)
		all = append(all, asks[test]...)
	}
	return asks, testbed.run(ctx, all)
}
