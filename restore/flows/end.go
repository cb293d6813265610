package flows

import (
	"context"
	"net/netip"

	"natspread/internal/rules"
)

// DeleteBackends deletes all entries that go to some backends of virtual services, at least
// one, all of one family, and returns how many. Their next packets match the rules: UDP moves
// at once, and a TCP connection ends when another backend resets it.
func DeleteBackends(ctx context.Context, services []rules.VirtualService, backends []netip.AddrPort) (deleted int, err error) {
	index := NewIndex(services)
	ends := make(map[netip.AddrPort]bool, len(backends))
	for _, backend := range backends {
		ends[backend] = true
	}
	family := rules.FamilyOf(backends[0].Addr())
	local, err := localAddresses(family)
	if err != nil {
		return 0, err
	}
	deleted, err = deleteEntries(ctx, family, func(e Entry) bool {
		e = index.begunByClient(e)
		service, leads := backendOf(index.of(e, local), e)
		if !leads {
			return false
		}
		place, _ := service.backend(e)
		return ends[service.Backends[place]]
	})
	return deleted, conntrackError(err)
}
