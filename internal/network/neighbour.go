package network

import (
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
)

// Neighbour is the entry of an address in the kernel's neighbour table, or that there is none.
type Neighbour struct {
	Hardware string // its hardware address; "" where no machine has answered
	Asked    bool   // there is an entry: the kernel has asked who has the address
}

// answered are the states of an entry whose machine has answered (ip-neighbour(8)); that of a stale
// one did so some time ago.
const answered = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT

// NeighbourAt returns the entry of an address on a link. The entries of each link are read once.
func (n Network) NeighbourAt(addr netip.Addr, on Link) Neighbour {
	known, read := n.neighbours[on.Index]
	if !read {
		known = neighboursOn(on)
		if n.neighbours != nil {
			n.neighbours[on.Index] = known
		}
	}
	return known[addr]
}

// neighboursOn reads the kernel's neighbour table of a link.
func neighboursOn(link Link) map[netip.Addr]Neighbour {
	found, err := netlink.NeighList(link.Index, netlink.FAMILY_ALL)
	if err != nil {
		return nil
	}
	known := map[netip.Addr]Neighbour{}
	for _, n := range found {
		one := Neighbour{Asked: true}
		if n.State&answered != 0 {
			one.Hardware = n.HardwareAddr.String()
		}
		known[addrOf(n.IP)] = one
	}
	return known
}

// Place is an address on a link.
type Place struct {
	Addr netip.Addr
	On   Link
}

// answerTime is how long a neighbour may take to answer; the kernel asks anew after a second.
const answerTime = time.Second

// AskNeighbours has the kernel ask, by ARP or neighbour discovery, who has some addresses, each
// once, and waits for the answers. Without CAP_NET_ADMIN it asks for none.
func (n Network) AskNeighbours(places []Place) {
	asked := slices.DeleteFunc(slices.Clone(places), func(p Place) bool { return n.asked[p] || ask(p) != nil })
	for _, p := range asked {
		n.asked[p] = true
	}
	clear(n.neighbours)
	over := time.NewTimer(answerTime)
	defer over.Stop()
	again := time.NewTicker(answerTime / 50)
	defer again.Stop()
	for !allAnswered(asked) {
		select {
		case <-over.C:
			return
		case <-again.C:
		}
	}
}

// allAnswered tells whether a machine has answered for each of some addresses.
func allAnswered(places []Place) bool {
	read := Network{neighbours: map[int]map[netip.Addr]Neighbour{}}
	return !slices.ContainsFunc(places, func(p Place) bool { return read.NeighbourAt(p.Addr, p.On).Hardware == "" })
}

// ask has the kernel ask who has an address on a link, unless it knows: NTF_USE says that the entry
// is used. So no packet meets the host's rules or is counted there, and no connection is tracked.
func ask(p Place) error {
	return netlink.NeighSet(&netlink.Neigh{LinkIndex: p.On.Index, IP: p.Addr.AsSlice(), Flags: netlink.NTF_USE})
}
