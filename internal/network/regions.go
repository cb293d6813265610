package network

import (
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// regions are the parts into which the routes of IPv4 divide its addresses. All addresses of a
// region match the same routes of each table, and the same rules of ip rule, unless a rule asks
// for a destination: so the kernel has one answer for all of them. There are no regions where a
// rule does that, where a route has several next hops, of which the kernel chooses one by the
// address, and in IPv6, where the kernel chooses the source by the address.
type regions struct {
	bits  []int                    // the lengths of the routes' prefixes, the longest first
	known map[netip.Prefix]*answer // by the longest prefix that has the address
	none  *answer                  // of addresses that no route has
}

// answer is what the kernel answered in a region; nil before it was asked.
type answer struct{ route *Lookup }

// When regions are used: to list the routes costs more than to ask for a few addresses.
const (
	manyAddresses = 64     // the kernel was asked for so many addresses already
	mostRoutes    = 10_000 // and there are no more routes
)

// region returns the answer for the region of an address; nil where the kernel's answer may be
// true of that address only.
func (n Network) region(addr netip.Addr) *answer {
	if n.regions == nil || !addr.Is4() || !addr.IsGlobalUnicast() || len(n.Known) < manyAddresses {
		return nil
	}
	if n.regions.known == nil {
		n.regions.read(n.handle)
	}
	for _, bits := range n.regions.bits {
		if found, is := n.regions.known[netip.PrefixFrom(addr, bits).Masked()]; is {
			return found
		}
	}
	return n.regions.none
}

// read lists the routes. Where the regions cannot be told there are none.
func (r *regions) read(handle *netlink.Handle) {
	r.known = map[netip.Prefix]*answer{}
	policy, err := handle.RuleList(netlink.FAMILY_V4)
	if err != nil || slices.ContainsFunc(policy, func(rule netlink.Rule) bool { return rule.Dst != nil }) {
		return
	}
	known, bits, several := map[netip.Prefix]*answer{}, map[int]bool{}, false
	err = handle.RouteListFilteredIter(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE, func(route netlink.Route) bool {
		prefix := destination(route)
		known[prefix], bits[prefix.Bits()] = &answer{}, true
		several = several || len(route.MultiPath) > 0
		return !several && len(known) <= mostRoutes
	})
	if err != nil || several || len(known) > mostRoutes {
		return
	}
	for length := range bits {
		r.bits = append(r.bits, length)
	}
	slices.SortFunc(r.bits, func(a, b int) int { return b - a })
	r.known, r.none = known, &answer{}
}

// destination returns the prefix that a route of IPv4 leads to.
func destination(route netlink.Route) netip.Prefix {
	if route.Dst == nil {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	bits, _ := route.Dst.Mask.Size()
	return netip.PrefixFrom(addrOf(route.Dst.IP), bits).Masked()
}
