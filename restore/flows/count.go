package flows

import (
	"context"

	"natspread/internal/rules"
)

// CountConnections counts, for each virtual service and each of its backends, the
// connections that are open now, by connection tracking: TCP and SCTP until both ends
// have closed, UDP until its client has paused for as long as the kernel remembers it
// (net.netfilter.nf_conntrack_udp_timeout, 30 s, and _stream, 120 s). The virtual services are
// as for NewIndex.
func CountConnections(ctx context.Context, services []rules.VirtualService) ([][]int, error) {
	counts := make([][]int, len(services))
	for i, service := range services {
		counts[i] = make([]int, len(service.Backends))
	}
	index := NewIndex(services)
	for _, family := range rules.Families() {
		if !index.have(family) {
			continue
		}
		local, err := localAddresses(family)
		if err != nil {
			return nil, err
		}
		err = Each(ctx, family, func(e Entry) {
			e = index.begunByClient(e)
			if service, leads := backendOf(index.of(e, local), e); leads && !e.Ended() {
				place, _ := service.backend(e)
				counts[service.number][place]++
			}
		})
		if err != nil {
			return nil, conntrackError(err)
		}
	}
	return counts, nil
}
