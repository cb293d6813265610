package nethost

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// FirstIndex begins the indexes of the near ends of veth pairs. The kernel numbers the far ends from 2.
// Where both ends have the same index it takes them for one interface, and reports the carrier up
// to 1 s late.
const FirstIndex = 1001

// linkWait bounds the wait for a veth pair, which takes well under 10 ms.
const linkWait = 10 * time.Second

// Connect makes a veth pair from an interface of the host to one of another host. It returns when
// packets pass.
func (h *Host) Connect(name string, other *Host, otherName string) error {
	file, err := os.Open(other.path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = h.Do(func() error {
		links, err := net.Interfaces()
		if err != nil {
			return err
		}
		pair := netlink.NewVeth(netlink.LinkAttrs{Name: name, Index: FirstIndex + len(links), TxQLen: -1})
		pair.PeerName, pair.PeerNamespace = otherName, netlink.NsFd(int(file.Fd()))
		return netlink.LinkAdd(pair)
	})
	for _, step := range []func() error{
		func() error { return h.on(name, netlink.LinkSetUp) },
		func() error { return other.on(otherName, netlink.LinkSetUp) },
		func() error { return h.awaitLink(name) },
		func() error { return other.awaitLink(otherName) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return fmt.Errorf("cannot connect the interface %s: %w", name, err)
	}
	return nil
}

// awaitLink returns when an interface passes packets.
func (h *Host) awaitLink(name string) error {
	return h.Do(func() error {
		for deadline := time.Now().Add(linkWait); !linkReady(name); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				return fmt.Errorf("link %s is not up after %v", name, linkWait)
			}
		}
		return nil
	})
}

// linkReady tells whether an interface of the calling thread's namespace has its carrier, and the
// link-local address without which no IPv6 neighbour is looked for.
func linkReady(name string) bool {
	link, err := net.InterfaceByName(name)
	if err != nil || link.Flags&net.FlagUp == 0 || link.Flags&net.FlagRunning == 0 {
		return false
	}
	addrs, err := link.Addrs()
	return err == nil && (!HasIPv6() || slices.ContainsFunc(addrs, func(a net.Addr) bool {
		prefix, ok := a.(*net.IPNet)
		return ok && prefix.IP.To4() == nil && prefix.IP.IsLinkLocalUnicast()
	}))
}

// AddAddresses gives an interface of the host addresses, and the subnets around them.
func (h *Host) AddAddresses(name string, addresses ...netip.Prefix) error {
	return h.on(name, func(link netlink.Link) error {
		for _, address := range addresses {
			// An IPv6 address is usable at once only where nobody looks for another owner of it.
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: network(address), Flags: unix.IFA_F_NODAD}); err != nil {
				return fmt.Errorf("cannot give %s the address %v: %w", name, address, err)
			}
		}
		return nil
	})
}

// AddRoutes has the host send what goes to some subnets to a gateway behind an interface.
func (h *Host) AddRoutes(name string, gateway netip.Addr, subnets ...netip.Prefix) error {
	return h.on(name, func(link netlink.Link) error {
		for _, subnet := range subnets {
			route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: network(subnet), Gw: gateway.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
			if err := netlink.RouteAdd(route); err != nil {
				return fmt.Errorf("cannot route %v to %v: %w", subnet, gateway, err)
			}
		}
		return nil
	})
}

// Bridge plugs interfaces of the host into a switch. With snooping that would drop what looks for
// IPv6 neighbours, as long as it saw no report of who listens.
func (h *Host) Bridge(ports ...string) error {
	err := h.Do(func() error {
		snooping := false
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge, TxQLen: -1}, MulticastSnooping: &snooping})
	})
	if err == nil {
		err = h.on(bridge, netlink.LinkSetUp)
	}
	for _, port := range ports {
		if err == nil {
			err = h.on(port, func(link netlink.Link) error {
				return netlink.LinkSetMaster(link, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}})
			})
		}
	}
	return err
}

// bridge is the interface that is a switch.
const bridge = "bridge"

// on does something with an interface of the host.
func (h *Host) on(name string, do func(netlink.Link) error) error {
	return h.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("cannot find the interface %s: %w", name, err)
		}
		return do(link)
	})
}

// network is a subnet, or an address in it, as package net has them.
func network(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}
