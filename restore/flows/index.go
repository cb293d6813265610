package flows

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"natspread/internal/rules"
)

// Index finds the virtual service that an entry is a connection of: lists by first port,
// in which no port is twice.
type Index map[listKey][]indexed

// listKey is what all virtual services of one list have in common.
type listKey struct {
	family   rules.Family
	protocol string
	address  netip.Addr
}

// indexed is a virtual service, its place among those that were indexed, and the places
// of its backends.
type indexed struct {
	rules.VirtualService
	number   int
	backends map[netip.AddrPort]int
}

// NewIndex makes virtual services ready to be searched. No two of them overlap.
func NewIndex(services []rules.VirtualService) Index {
	all := Index{}
	for number, service := range services {
		backends := make(map[netip.AddrPort]int, len(service.Backends))
		for i, backend := range service.Backends {
			backends[backend] = i
		}
		key := listKey{rules.FamilyOf(service.Backends[0].Addr()), service.Protocol, service.Address}
		all[key] = append(all[key], indexed{service, number, backends})
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b indexed) int { return cmp.Compare(a.Ports.First, b.Ports.First) })
	}
	return all
}

// keyOf returns the key of the list that has the virtual service of an entry, unless that
// listens on "*".
func keyOf(e Entry) listKey {
	address := e.OrigDst.Addr()
	return listKey{rules.FamilyOf(address), e.Protocol.String(), address}
}

// have tells whether there are virtual services of a family.
func (x Index) have(family rules.Family) bool {
	for key := range x {
		if key.family == family {
			return true
		}
	}
	return false
}

// begunByClient inverts an entry that a backend began in place of its client, and returns every
// other entry as it is. It inverts none of a service that listens on "*": a backend's own
// connections look the same there, if others masquerade them.
func (x Index) begunByClient(e Entry) Entry {
	inverted, ok := e.inverted()
	if !ok {
		return e
	}
	service, found := atPort(x[keyOf(inverted)], inverted.OrigDst.Port())
	if !found {
		return e
	}
	if _, leads := service.backend(inverted); !leads {
		return e
	}
	return inverted
}

// of returns the virtual service that an entry is for, by what its client asked for.
func (x Index) of(e Entry, local locals) (service indexed, found bool) {
	key := keyOf(e)
	if service, found = atPort(x[key], e.OrigDst.Port()); found || !local.contain(e.OrigDst.Addr()) {
		return service, found
	}
	key.address = netip.Addr{}
	return atPort(x[key], e.OrigDst.Port())
}

// atPort returns the virtual service that has a port, out of a list by first port.
func atPort(list []indexed, port uint16) (indexed, bool) {
	next := sort.Search(len(list), func(i int) bool { return list[i].Ports.First > port })
	if next == 0 || list[next-1].Ports.Last < port {
		return indexed{}, false
	}
	return list[next-1], true
}

// backend returns the place of the backend that an entry goes to. An entry that is not translated is at
// the backend that is the listen address itself, if there is one. One to port 0 was refused.
func (p indexed) backend(e Entry) (place int, found bool) {
	if e.ReplySrc.Port() == 0 {
		return 0, false
	}
	answers := e.ReplySrc
	if p.Shifted { // back to where it answers for the first port
		answers = netip.AddrPortFrom(answers.Addr(), answers.Port()-(e.OrigDst.Port()-p.Ports.First))
	}
	if place, found = p.backends[answers]; found || e.ReplySrc.Port() != e.OrigDst.Port() {
		return place, found
	}
	place, found = p.backends[netip.AddrPortFrom(e.ReplySrc.Addr(), 0)]
	return place, found
}
