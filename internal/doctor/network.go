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

// network is the interfaces and addresses of the host, and the routes that were asked
// for so far.
type network struct {
	links     []link
	addresses []address
	routes    map[netip.Addr]asked
}

// link is an interface.
type link struct {
	index int
	name  string
	up    bool
	noARP bool // whoever is there sends without asking, as on a tunnel
}

// address is one of the host's, with the subnet that it is in.
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
	read := network{routes: map[netip.Addr]asked{}}
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
		if a.Peer != nil && a.Peer.IP != nil { // of a point-to-point link the other end is beside us
			peer, _ := a.Peer.Mask.Size()
			subnet = netip.PrefixFrom(addrOf(a.Peer.IP), peer)
		}
		read.addresses = append(read.addresses, address{addrOf(a.IP), subnet.Masked(), read.link(a.LinkIndex)})
	}
	return read, nil
}

// addrOf returns an address of either family from the form that netlink has.
func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// link returns an interface by its number; one that went away has no name.
func (n network) link(index int) link {
	for _, l := range n.links {
		if l.index == index {
			return l
		}
	}
	return link{index: index}
}

// holder returns the host's address that is this one.
func (n network) holder(addr netip.Addr) (address, bool) {
	for _, a := range n.addresses {
		if a.addr == addr {
			return a, true
		}
	}
	return address{}, false
}

// beside returns the host's addresses in whose subnet an address is.
func (n network) beside(addr netip.Addr) []address {
	var near []address
	for _, a := range n.addresses {
		if a.subnet.Contains(addr) && a.subnet.Bits() < addr.BitLen() {
			near = append(near, a)
		}
	}
	return near
}

// route is the way to an address.
type route struct {
	local     bool // it is one of the host's own
	link      string
	gateway   netip.Addr // not valid for what is on the link itself
	source    netip.Addr // that the host would use
	byDefault bool       // no route but the default one leads there
}

// asked is what the kernel said of the way to an address.
type asked struct {
	way route
	err error
}

// errNoRoute says that packets to an address go nowhere.
var errNoRoute = errors.New("there is no route")

// routeTo asks the kernel for the way to an address. It is errNoRoute where there is
// none, or one that refuses: unreachable, prohibit or blackhole (ip-route(8)).
func (n network) routeTo(addr netip.Addr) (route, error) {
	known, found := n.routes[addr]
	if !found {
		known.way, known.err = n.askRoute(addr)
		if n.routes != nil {
			n.routes[addr] = known
		}
	}
	return known.way, known.err
}

// askRoute is routeTo for an address that was not asked for yet.
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
	way := route{
		local: first.Type == unix.RTN_LOCAL, link: n.link(first.LinkIndex).name,
		gateway: addrOf(first.Gw), source: addrOf(first.Src),
	}
	matched, err := netlink.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	way.byDefault = err == nil && len(matched) > 0 && !way.local && isDefault(matched[0])
	return way, nil
}

// isDefault tells whether a route is for whatever has none of its own.
func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	bits, _ := r.Dst.Mask.Size()
	return bits == 0
}

// inFamily returns the number that netlink has for a family.
func inFamily(family rules.Family) int {
	if family == rules.IPv6 {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// defaultLink returns the interface that a family's default route leads to, "" for
// none.
func (n network) defaultLink(family rules.Family) string {
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

// refusing returns the words of ip route for the longest route that refuses an
// address: "unreachable 10.0.0.0/24".
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
