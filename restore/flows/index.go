package restore

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"natspread/internal/conntrack"
	"natspread/internal/rules"
)

// pools finds the pool that an entry falls under: lists by first port, in which no
// port is twice.
type pools map[poolKey][]indexedPool

// poolKey is what all pools of one list have in common.
type poolKey struct {
	family   rules.Family
	protocol string
	address  netip.Addr
}

// indexedPool is a pool, its place among those that were indexed, and the places of
// its backends.
type indexedPool struct {
	rules.VirtualService
	number   int
	backends map[netip.AddrPort]int
}

// indexPools makes pools ready to be searched.
func indexPools(list []rules.VirtualService) pools {
	all := pools{}
	for number, pool := range list {
		backends := make(map[netip.AddrPort]int, len(pool.Backends))
		for i, backend := range pool.Backends {
			backends[backend] = i
		}
		key := poolKey{rules.FamilyOf(pool.Backends[0].Addr()), pool.Protocol, pool.Address}
		all[key] = append(all[key], indexedPool{pool, number, backends})
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b indexedPool) int { return cmp.Compare(a.Ports.First, b.Ports.First) })
	}
	return all
}

// have tells whether there are pools of a family.
func (p pools) have(family rules.Family) bool {
	for key := range p {
		if key.family == family {
			return true
		}
	}
	return false
}

// of returns the pool that an entry falls under by what its client asked for.
func (p pools) of(e conntrack.Entry, local locals) (pool indexedPool, found bool) {
	key := poolKey{rules.FamilyOf(e.OrigDst.Addr()), e.Protocol.String(), e.OrigDst.Addr()}
	if pool, found = atPort(p[key], e.OrigDst.Port()); found || !local.contain(e.OrigDst.Addr()) {
		return pool, found
	}
	key.address = netip.Addr{}
	return atPort(p[key], e.OrigDst.Port())
}

// atPort returns the pool that has a port, out of a list by first port.
func atPort(list []indexedPool, port uint16) (indexedPool, bool) {
	next := sort.Search(len(list), func(i int) bool { return list[i].Ports.First > port })
	if next == 0 || list[next-1].Ports.Last < port {
		return indexedPool{}, false
	}
	return list[next-1], true
}

// backend returns the place of the backend that an entry goes to.
func (p indexedPool) backend(e conntrack.Entry) (place int, found bool) {
	if place, found = p.backends[e.ReplySrc]; found || e.ReplySrc.Port() != e.OrigDst.Port() {
		return place, found
	}
	place, found = p.backends[netip.AddrPortFrom(e.ReplySrc.Addr(), 0)]
	return place, found
}
