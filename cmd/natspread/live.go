package main

import (
	"context"

	"natspread/internal/rules"
	"natspread/restore/flows"
)

// addLive adds to services how many connections are open now.
func addLive(ctx context.Context, services []serviceStatus) error {
	var pools []rules.VirtualService
	for _, service := range services {
		pools = append(pools, service.pools...)
	}
	counts, err := flows.CountConnections(ctx, pools)
	if err != nil {
		return err
	}
	for i := range services {
		services[i].addLive(counts[:len(services[i].pools)])
		counts = counts[len(services[i].pools):]
	}
	return nil
}

// addLive adds up what is open in the service's pools, which have its backends in
// the same order.
func (s *serviceStatus) addLive(counts [][]int) {
	s.Live = new(int)
	for i := range s.Backends {
		live := 0
		for _, pool := range counts {
			live += pool[i]
		}
		s.Backends[i].Live = &live
		*s.Live += live
	}
}
