package flows

import (
	"context"
	"net/netip"

	"natspread/internal/rules"
)

// DeleteBackend deletes all entries that go to a backend of virtual services, and returns
// how many. Their next packets match the rules: UDP moves at once, and a TCP connection ends
// when another backend resets it.
func DeleteBackend(ctx context.Context, services []rules.VirtualService, backend netip.AddrPort) (deleted int, err error) {
	index := NewIndex(services)
	family := rules.FamilyOf(backend.Addr())
	local, err := localAddresses(family)
	if err != nil {
		return 0, err
	}
	deleted, err = deleteEntries(ctx, family, func(e Entry) bool {
		service, found := index.of(e, local)
		if !found {
			return false
		}
		place, found := service.backend(e)
		return found && service.Backends[place] == backend
	})
	return deleted, conntrackError(err)
}
