package iptables

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"natspread/internal/rules"
)

// forwardPlace returns the place of the first jump of a table's in FORWARD among the rules of
// others, from 1, and 1 for a table that has none there. The kernel's routes say which
// interfaces lead to backends now; before the network is up none does, and rules that name
// one as -o count as bans.
func forwardPlace(saved rules.Saved, table rules.Table) int {
	return rules.ForwardPlacer{Link: LinkTo}.Place(saved, table)
}

// LinkTo returns the interface by which a route leads to an address, "" where none does.
func LinkTo(address netip.Addr) string {
	routes, err := netlink.RouteGet(address.AsSlice())
	if err != nil || len(routes) == 0 {
		return ""
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return ""
	}
	return link.Attrs().Name
}
