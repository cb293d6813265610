package network

import (
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// AnswersFor tells whether the kernel answers neighbours on a link that ask for an address
// which the host does not have. For IPv6 it does so after ip neigh add proxy
// (ip-neighbour(8)). For IPv4 that works only for addresses behind another link (arp.c).
func AnswersFor(addr netip.Addr, on Link) bool {
	if addr.Is4() {
		return false
	}
	proxied, err := netlink.NeighProxyList(on.Index, netlink.FAMILY_V6)
	return err == nil && slices.ContainsFunc(proxied, func(neighbour netlink.Neigh) bool { return addrOf(neighbour.IP) == addr })
}
