package network

import (
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
)

// Neighbour is a machine beside the host, or the want of one.
type Neighbour struct {
	Hardware string // its hardware address; "" where nobody answered so far
	Asked    bool   // the host asked who has the address
}

// answered are the states of an entry that somebody answered for (ip-neighbour(8)). A stale one
// did so some time ago.
const answered = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT

// NeighbourAt returns what the kernel knows of who has an address on a link. The links' lists are
// read once.
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

// neighboursOn returns what the kernel knows of the machines on a link.
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

// soon is how long a neighbour may take to answer; the kernel asks anew after a second.
const soon = time.Second

// AskNeighbours has the kernel ask who has some addresses, each once, and waits for the answers.
// Without CAP_NET_ADMIN nobody is asked.
func (n Network) AskNeighbours(places []Place) {
	asked := slices.DeleteFunc(slices.Clone(places), func(p Place) bool { return n.asked[p] || ask(p) != nil })
	for _, p := range asked {
		n.asked[p] = true
	}
	clear(n.neighbours)
	over := time.NewTimer(soon)
	defer over.Stop()
	again := time.NewTicker(soon / 50)
	defer again.Stop()
	for !allAnswered(asked) {
		select {
		case <-over.C:
			return
		case <-again.C:
		}
	}
}

// allAnswered tells whether somebody has each of some addresses.
func allAnswered(places []Place) bool {
	read := Network{neighbours: map[int]map[netip.Addr]Neighbour{}}
	return !slices.ContainsFunc(places, func(p Place) bool { return read.NeighbourAt(p.Addr, p.On).Hardware == "" })
}

// ask has the kernel ask who has an address on a link, if it does not know: it takes that for an
// entry which is used (NTF_USE). No packet goes through the rules of the host, or is counted there,
// and no connection is tracked.
func ask(p Place) error {
	return netlink.NeighSet(&netlink.Neigh{LinkIndex: p.On.Index, IP: p.Addr.AsSlice(), Flags: netlink.NTF_USE})
}
