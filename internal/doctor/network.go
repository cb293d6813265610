package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// network is the interfaces and addresses of the host, and what the kernel answered so far
// about routes.
type network struct {
	links     []link
	addresses []address
	routes    map[netip.Addr]lookup
	defaults  map[rules.Family]string // the interfaces that default routes lead to
}

// link is an interface.
type link struct {
	index int
	name  string
	up    bool
	noARP bool // nobody asks who has an address, as on a tunnel
}

// address is an address of the host, with the subnet that it is in.
type address struct {
	addr   netip.Addr
	subnet netip.Prefix
	link   link
}

// readNetwork asks the kernel, in the network namespace of the calling thread.
func readNetwork() (network, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return network{}, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	read := network{routes: map[netip.Addr]lookup{}, defaults: map[rules.Family]string{}}
	for _, l := range links {
		a := l.Attrs()
		read.links = append(read.links, link{a.Index, a.Name, a.Flags&net.FlagUp != 0, a.RawFlags&unix.IFF_NOARP != 0})
	}
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return network{}, fmt.Errorf("cannot list the addresses: %w", err)
	}
	for _, a := range addresses {
		bits, _ := a.Mask.Size()
		subnet := netip.PrefixFrom(addrOf(a.IP), bits)
		if a.Peer != nil && a.Peer.IP != nil { // on a point-to-point link, the subnet is the other end's
			peer, _ := a.Peer.Mask.Size()
			subnet = netip.PrefixFrom(addrOf(a.Peer.IP), peer)
		}
		read.addresses = append(read.addresses, address{addrOf(a.IP), subnet.Masked(), read.link(a.LinkIndex)})
	}
	return read, nil
}

// addrOf returns an address of either family from netlink's form.
func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// link returns an interface by its number. One that went away has no name.
func (n network) link(index int) link {
	for _, l := range n.links {
		if l.index == index {
			return l
		}
	}
	return link{index: index}
}

// holder returns the entry of an address that the host has.
func (n network) holder(addr netip.Addr) (address, bool) {
	for _, a := range n.addresses {
		if a.addr == addr {
			return a, true
		}
	}
	return address{}, false
}

// beside returns those addresses of the host that are in the same subnet as an address.
func (n network) beside(addr netip.Addr) []address {
	var near []address
	for _, a := range n.addresses {
		if a.subnet.Contains(addr) && a.subnet.Bits() < addr.BitLen() {
			near = append(near, a)
		}
	}
	return near
}

// route is how the kernel sends packets to an address.
type route struct {
	local     bool // the address is the host's own
	link      string
	gateway   netip.Addr // not valid for an address on the link itself
	source    netip.Addr // that the host uses
	byDefault bool       // only the default route leads there
}

// lookup is what the kernel answered about the route to an address.
type lookup struct {
	route route
	err   error
}

// errNoRoute says that packets to an address go nowhere.
var errNoRoute = errors.New("there is no route")

// routeTo returns the route to an address. The error is errNoRoute where there is none,
// or one that refuses: unreachable, prohibit or blackhole (ip-route(8)).
func (n network) routeTo(addr netip.Addr) (route, error) {
	known, found := n.routes[addr]
	if !found {
		known.route, known.err = n.askRoute(addr)
		if n.routes != nil {
			n.routes[addr] = known
		}
	}
	return known.route, known.err
}

// askRoute asks the kernel for the route to an address.
func (n network) askRoute(addr netip.Addr) (route, error) {
	routes, err := netlink.RouteGet(addr.AsSlice())
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EACCES), errors.Is(err, unix.EINVAL):
		return route{}, errNoRoute
	case err != nil:
		return route{}, err
	case len(routes) == 0:
		return route{}, errNoRoute
	}
	first := routes[0]
	to := route{
		local: first.Type == unix.RTN_LOCAL, link: n.link(first.LinkIndex).name,
		gateway: addrOf(first.Gw), source: addrOf(first.Src),
	}
	matched, err := netlink.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	to.byDefault = err == nil && len(matched) > 0 && !to.local && isDefault(matched[0])
	return to, nil
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

// defaultLink returns the interface that the default route of a family leads to, ""
// where there is none.
func (n network) defaultLink(family rules.Family) string {
	name, known := n.defaults[family]
	if !known {
		name = n.askDefaultLink(family)
		if n.defaults != nil {
			n.defaults[family] = name
		}
	}
	return name
}

// askDefaultLink asks the kernel for the interface of the default route.
func (n network) askDefaultLink(family rules.Family) string {
	routes, err := netlink.RouteList(nil, inFamily(family))
	if err != nil {
		return ""
	}
	for _, r := range routes {
		if isDefault(r) && r.Type == unix.RTN_UNICAST {
			return n.link(r.LinkIndex).name
		}
	}
	return ""
}

// refusing returns the route with the longest prefix that refuses an address, in the words
// of ip route: "unreachable 10.0.0.0/24".
func (n network) refusing(addr netip.Addr) (words string, ok bool) {
	kinds := map[int]string{unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit"}
	routes, err := netlink.RouteList(nil, inFamily(rules.FamilyOf(addr)))
	if err != nil {
		return "", false
	}
	longest := -1
	for _, r := range routes {
		kind, refuses := kinds[r.Type]
		if !refuses || r.Dst == nil {
			continue
		}
		bits, _ := r.Dst.Mask.Size()
		prefix := netip.PrefixFrom(addrOf(r.Dst.IP), bits)
		if prefix.Contains(addr) && bits > longest {
			longest, words = bits, kind+" "+prefix.String()
		}
	}
	return words, longest >= 0
}
