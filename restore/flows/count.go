package restore

import (
	"context"

	"natspread/internal/conntrack"
	"natspread/internal/rules"
)

// Live counts, for each pool and each of its backends, the connections that are
// open there now, by connection tracking: TCP and SCTP until both ends have said
// goodbye, UDP until its client has paused for as long as the kernel remembers it
// (net.netfilter.nf_conntrack_udp_timeout, 30 s, and _stream, 120 s). No two pools
// may overlap.
func Live(ctx context.Context, pools []rules.VirtualService) ([][]int, error) {
	counts := make([][]int, len(pools))
	for i, pool := range pools {
		counts[i] = make([]int, len(pool.Backends))
	}
	indexed := indexPools(pools)
	for _, family := range rules.Families() {
		if !indexed.have(family) {
			continue
		}
		local, err := localAddresses(family)
		if err != nil {
			return nil, err
		}
		err = conntrack.Each(ctx, family, func(e conntrack.Entry) {
			pool, found := indexed.of(e, local)
			if !found || e.Ended() {
				return
			}
			if place, found := pool.backend(e); found {
				counts[pool.number][place]++
			}
		})
		if err != nil {
			return nil, conntrackError(err)
		}
	}
	return counts, nil
}
