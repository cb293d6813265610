package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// Route is how the kernel sends packets to an address.
type Route struct {
	Local     bool // the address is the host's own
	Link      string
	Gateway   netip.Addr // not valid for an address on the link itself
	Source    netip.Addr // that the host uses
	ByDefault bool       // only the default route leads there
}

// Via returns where a route leads, in the words of ip route.
func (r Route) Via() string {
	if r.Gateway.IsValid() {
		return fmt.Sprintf("via %v dev %s", r.Gateway, r.Link)
	}
	return "dev " + r.Link
}

// Lookup is what the kernel answered about the route to an address.
type Lookup struct {
	Route Route
	Err   error
}

// ErrNoRoute says that packets to an address go nowhere.
var ErrNoRoute = errors.New("there is no route")

// errUnread says that the network was not read, so nobody can be asked.
var errUnread = errors.New("the network is not known")

// RouteTo returns the route to an address. The error is ErrNoRoute where there is none,
// or one that refuses: unreachable, prohibit or blackhole (ip-route(8)).
func (n Network) RouteTo(addr netip.Addr) (Route, error) {
	known, found := n.Known[addr]
	if !found {
		known.Route, known.Err = n.askRoute(addr)
		if n.Known != nil {
			n.Known[addr] = known
		}
	}
	return known.Route, known.Err
}

// askRoute returns the route to an address. For each region the kernel is asked once.
func (n Network) askRoute(addr netip.Addr) (Route, error) {
	if n.handle == nil {
		return Route{}, errUnread
	}
	region := n.region(addr)
	if region == nil {
		region = &answer{}
	}
	known := region.route
	if known == nil {
		known = n.askKernel(addr)
		if known.Err == ErrNoRoute || known.Err == nil && !known.Route.Local { // a local address is its own source
			region.route = known
		}
	}
	to := known.Route
	to.ByDefault = to.ByDefault && !n.onLink(addr, to)
	return to, known.Err
}

// askKernel asks the kernel. ByDefault of its answer tells whether that is the default route.
func (n Network) askKernel(addr netip.Addr) *Lookup {
	routes, err := n.handle.RouteGet(addr.AsSlice())
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EACCES), errors.Is(err, unix.EINVAL):
		return &Lookup{Err: ErrNoRoute}
	case err != nil:
		return &Lookup{Err: err}
	case len(routes) == 0:
		return &Lookup{Err: ErrNoRoute}
	}
	first := routes[0]
	to := Route{
		Local: first.Type == unix.RTN_LOCAL, Link: n.Link(first.LinkIndex).Name,
		Gateway: addrOf(first.Gw), Source: addrOf(first.Src),
	}
	to.ByDefault = !to.Local && n.byDefault(addr)
	return &Lookup{Route: to}
}

// onLink tells whether a route leads to an address that is beside the host on its interface,
// for which the kernel has a route of its own.
func (n Network) onLink(addr netip.Addr, to Route) bool {
	for _, near := range n.Beside(addr) {
		if near.Link.Name == to.Link && near.Subnet.Bits() > 0 && !to.Gateway.IsValid() {
			return true
		}
	}
	return false
}

// byDefault tells whether only the default route leads to an address.
func (n Network) byDefault(addr netip.Addr) bool {
	matched, err := n.handle.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	return err == nil && len(matched) > 0 && isDefault(matched[0])
}

// isDefault tells whether a route is a default route: its destination has no bits.
func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	bits, _ := r.Dst.Mask.Size()
	return bits == 0
}

// inFamily returns netlink's number of a family.
func inFamily(family rules.Family) int {
	if family == rules.IPv6 {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// Default returns the default route of a family; found is false where there is none.
func (n Network) Default(family rules.Family) (to Route, found bool) {
	known, asked := n.defaults[family]
	if !asked {
		known = n.askDefault(family)
		if n.defaults != nil {
			n.defaults[family] = known
		}
	}
	return known, known.ByDefault
}

// DefaultLink returns the interface that the default route of a family leads to, ""
// where there is none.
func (n Network) DefaultLink(family rules.Family) string {
	to, _ := n.Default(family)
	return to.Link
}

// askDefault asks the kernel for the default route.
func (n Network) askDefault(family rules.Family) Route {
	if n.handle == nil {
		return Route{}
	}
	routes, err := n.handle.RouteList(nil, inFamily(family))
	if err != nil {
		return Route{}
	}
	for _, r := range routes {
		if isDefault(r) && r.Type == unix.RTN_UNICAST {
			return Route{Link: n.Link(r.LinkIndex).Name, Gateway: addrOf(r.Gw), ByDefault: true}
		}
	}
	return Route{}
}

// Refusing returns the route with the longest prefix that refuses an address, in the words
// of ip route: "unreachable 10.0.0.0/24". The routes are listed once, for thousands of addresses.
func (n Network) Refusing(addr netip.Addr) (words string, ok bool) {
	family := rules.FamilyOf(addr)
	known, found := n.refusals[family]
	if !found {
		known = n.askRefusals(family)
		if n.refusals != nil {
			n.refusals[family] = known
		}
	}
	longest := -1
	for _, r := range known {
		if r.prefix.Contains(addr) && r.prefix.Bits() > longest {
			longest, words = r.prefix.Bits(), r.kind+" "+r.prefix.String()
		}
	}
	return words, longest >= 0
}

// refusal is a route that refuses what goes to a prefix.
type refusal struct {
	kind   string
	prefix netip.Prefix
}

// askRefusals lists those of a family.
func (n Network) askRefusals(family rules.Family) (all []refusal) {
	if n.handle == nil {
		return nil
	}
	kinds := map[int]string{unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit"}
	routes, err := n.handle.RouteList(nil, inFamily(family))
	if err != nil {
		return nil
	}
	for _, r := range routes {
		if kind, refuses := kinds[r.Type]; refuses && r.Dst != nil {
			bits, _ := r.Dst.Mask.Size()
			all = append(all, refusal{kind, netip.PrefixFrom(addrOf(r.Dst.IP), bits)})
		}
	}
	return all
}

// Gateway returns a router beyond an interface that a route of a family leads to, in
// whatever table it stands.
func (n Network) Gateway(on Link, family rules.Family) (netip.Addr, bool) {
	for _, r := range n.routesOut(on, family, unix.RT_TABLE_UNSPEC) {
		if r.Gw != nil {
			return addrOf(r.Gw), true
		}
	}
	return netip.Addr{}, false
}

// MarkLeads tells whether a rule sends packets with a mark out by an interface, wherever
// they go.
func (n Network) MarkLeads(on Link, family rules.Family) bool {
	if n.handle == nil {
		return false
	}
	found, err := n.handle.RuleList(inFamily(family))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(found, func(rule netlink.Rule) bool {
		return rule.Mark != 0 && slices.ContainsFunc(n.routesOut(on, family, rule.Table), isDefault)
	})
}

// routesOut returns the routes of a table that lead out by an interface.
func (n Network) routesOut(on Link, family rules.Family, table int) []netlink.Route {
	if n.handle == nil {
		return nil
	}
	wanted := &netlink.Route{LinkIndex: on.Index, Table: table}
	found, err := n.handle.RouteListFiltered(inFamily(family), wanted, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil
	}
	return found
}
