package flows

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// locals are the addresses of the host, as the match "addrtype LOCAL" has them:
// what the kernel's routing table local leads to the host itself, also by prefix.
type locals struct {
	hosts    map[netip.Addr]bool
	prefixes []netip.Prefix
}

// contain tells whether an address is the host's own.
func (l locals) contain(address netip.Addr) bool {
	return l.hosts[address] || slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}

// localAddresses asks the kernel for the addresses of a family.
func localAddresses(family rules.Family) (locals, error) {
	number := netlink.FAMILY_V4
	if family == rules.IPv6 {
		number = netlink.FAMILY_V6
	}
	filter := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL}
	routes, err := netlink.RouteListFiltered(number, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return locals{}, fmt.Errorf("cannot list the addresses of this host: %w", err)
	}
	found := locals{hosts: map[netip.Addr]bool{}}
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		address, _ := netip.AddrFromSlice(route.Dst.IP)
		bits, _ := route.Dst.Mask.Size()
		prefix := netip.PrefixFrom(address.Unmap(), bits)
		if prefix.IsSingleIP() {
			found.hosts[prefix.Addr()] = true
		} else if prefix.IsValid() {
			found.prefixes = append(found.prefixes, prefix)
		}
	}
	return found, nil
}
