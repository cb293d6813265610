// Package network reads what the kernel says of the host's network: interfaces, addresses,
// routes, and the sockets that take packets, with the processes that hold them. It judges
// nothing.
package network

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// Network is the interfaces and addresses of the host, and what the kernel answered so far
// about routes.
type Network struct {
	Links     []Link
	Addresses []Address
	Known     map[netip.Addr]Lookup

	holders  map[netip.Addr]Address
	subnets  map[netip.Prefix][]Address
	bits     []int // the lengths of the subnets' prefixes, the longest first
	defaults map[rules.Family]Route
	refusals map[rules.Family][]refusal
	regions  *regions
	handle   *netlink.Handle // nil where nobody can be asked about routes

	neighbours map[int]map[netip.Addr]Neighbour // by the number of the link
	asked      map[Place]bool                   // which of them the kernel was made to ask for
}

// Link is an interface.
type Link struct {
	Index  int
	Name   string
	Up     bool
	NoARP  bool   // nobody asks who has an address, as on a tunnel
	MTU    int    // how long a packet may be
	Kind   string // "bridge", "vrf", "bond", "veth"; "" for hardware
	Master int    // the interface that it is a part of, as of a bridge; 0 for none
	Parent int    // the interface whose packets it sorts out, as of a VLAN; 0 for none
}

// Address is an address of the host, with the subnet that it is in.
type Address struct {
	Addr   netip.Addr
	Subnet netip.Prefix
	Link   Link
}

// New returns a network of some interfaces and addresses.
func New(links []Link, addresses []Address) Network {
	n := Network{
		Links: links, Addresses: addresses, Known: map[netip.Addr]Lookup{},
		holders: map[netip.Addr]Address{}, subnets: map[netip.Prefix][]Address{}, defaults: map[rules.Family]Route{}, refusals: map[rules.Family][]refusal{},
		regions:    &regions{},
		neighbours: map[int]map[netip.Addr]Neighbour{}, asked: map[Place]bool{},
	}
	for _, a := range addresses {
		if _, known := n.holders[a.Addr]; !known {
			n.holders[a.Addr] = a
		}
		if bits := a.Subnet.Bits(); bits < a.Addr.BitLen() {
			n.subnets[a.Subnet] = append(n.subnets[a.Subnet], a)
			if !slices.Contains(n.bits, bits) {
				n.bits = append(n.bits, bits)
			}
		}
	}
	slices.SortFunc(n.bits, func(a, b int) int { return cmp.Compare(b, a) })
	return n
}

// Read asks the kernel, in the network namespace of the calling thread.
func Read() (Network, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE) // one socket for thousands of routes
	if err != nil {
		return Network{}, fmt.Errorf("cannot ask about the network: %w", err)
	}
	listed, err := handle.LinkList()
	if err != nil {
		return Network{}, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	links, byIndex := make([]Link, len(listed)), map[int]Link{}
	for i, l := range listed {
		a := l.Attrs()
		links[i] = Link{a.Index, a.Name, a.Flags&net.FlagUp != 0, a.RawFlags&unix.IFF_NOARP != 0, a.MTU, l.Type(), a.MasterIndex, 0}
		if slices.Contains(stacked, l.Type()) {
			links[i].Parent = a.ParentIndex
		}
		byIndex[a.Index] = links[i]
	}
	found, err := handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return Network{}, fmt.Errorf("cannot list the addresses: %w", err)
	}
	addresses := make([]Address, len(found))
	for i, a := range found {
		addresses[i] = Address{addrOf(a.IP), subnetOf(a), byIndex[a.LinkIndex]}
	}
	read := New(links, addresses)
	read.handle = handle
	return read, nil
}

// subnetOf returns the subnet of an address. On a point-to-point link it is the other end's.
func subnetOf(a netlink.Addr) netip.Prefix {
	of := a.IPNet
	if a.Peer != nil && a.Peer.IP != nil {
		of = a.Peer
	}
	bits, _ := of.Mask.Size()
	return netip.PrefixFrom(addrOf(of.IP), bits).Masked()
}

// addrOf returns an address of either family from netlink's form.
func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// Link returns an interface by its number. One that went away has no name.
func (n Network) Link(index int) Link {
	for _, l := range n.Links {
		if l.Index == index {
			return l
		}
	}
	return Link{Index: index}
}

// Named returns an interface by its name.
func (n Network) Named(name string) (Link, bool) {
	for _, l := range n.Links {
		if l.Name == name {
			return l, true
		}
	}
	return Link{}, false
}

// Like returns the interfaces that a name, or a pattern, of a rule stands for.
func (n Network) Like(named string) []Link {
	var like []Link
	for _, l := range n.Links {
		if rules.IsLink(named, l.Name) {
			like = append(like, l)
		}
	}
	return like
}

// Names replaces each name or pattern of a rule by the names of the interfaces that it stands for. One
// that stands for none stays.
func (n Network) Names(named []string) []string {
	var names []string
	for _, name := range named {
		like := n.Like(name)
		if len(like) == 0 {
			names = append(names, name)
		}
		for _, link := range like {
			names = append(names, link.Name)
		}
	}
	return names
}

// stacked are the kinds of interfaces that stand on another one. Of others, as of veth, the kernel calls the
// other end a parent, too.
var stacked = []string{"vlan", "macvlan", "ipvlan", "macsec"}

// joining are the kinds of interfaces that take the packets of their parts before iptables
// sees them (rx_handler in the kernel's drivers): a rule meets the name of the whole.
var joining = []string{"bridge", "bond", "team"}

// Whole returns the interface by whose name the packets of one come in.
func (n Network) Whole(link Link) Link {
	for range n.Links { // a bond can be a part of a bridge
		if master := n.Link(link.Master); link.Master != 0 && slices.Contains(joining, master.Kind) {
			link = master
		}
	}
	return link
}

// Holder returns the entry of an address that the host has.
func (n Network) Holder(addr netip.Addr) (Address, bool) {
	a, held := n.holders[addr]
	return a, held
}

// Beside returns those addresses of the host that are in the same subnet as an address,
// those of the smallest subnet first.
func (n Network) Beside(addr netip.Addr) []Address {
	var near []Address
	for _, bits := range n.bits {
		if subnet, err := addr.Prefix(bits); err == nil {
			near = append(near, n.subnets[subnet]...)
		}
	}
	return near
}

// IsCut tells whether nobody reaches an address of the host because its interface is
// down. For an address without a subnet the host answers on every other interface
// (arp_ignore in ip-sysctl.rst), and also where another interface is in the same subnet.
func (n Network) IsCut(a Address) bool {
	return !a.Link.Up && a.Subnet.Bits() < a.Addr.BitLen() && !slices.ContainsFunc(n.subnets[a.Subnet], func(other Address) bool { return other.Link.Up })
}

// Holds tells whether an interface is in a subnet, too.
func (n Network) Holds(name string, subnet netip.Prefix) bool {
	return slices.ContainsFunc(n.subnets[subnet], func(a Address) bool { return a.Link.Name == name })
}

// Reaches tells whether somebody can send IPv4 packets to the host by an interface: it is
// up and has an address that is not only kept there, as on a dummy interface.
func (n Network) Reaches(name string) bool {
	return slices.ContainsFunc(n.Addresses, func(a Address) bool {
		onlyKept := a.Link.NoARP && a.Subnet.Bits() == a.Addr.BitLen()
		return a.Link.Name == name && a.Link.Up && a.Addr.Is4() && !onlyKept
	})
}
