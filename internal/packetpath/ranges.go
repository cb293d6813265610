package packetpath

import (
	"net/netip"
	"slices"

	"natspread/internal/rules"
	"natspread/internal/subnet"
)

// firstFree is the first port of clients: only root can use a lower one.
const firstFree = 1024

// ports are ranges of ports.
type ports []rules.Ports

// has tells whether a port is one of them. A port that is not known is a client's.
func (r ports) has(port uint16) answer {
	for _, one := range r {
		switch {
		case port == 0 && one.Last >= firstFree:
			return some
		case port != 0 && one.First <= port && port <= one.Last:
			return yes
		}
	}
	return no
}

// addresses are ranges of addresses, both ends in them: in order, and apart from one another.
type addresses [][2]netip.Addr

// has tells whether an address is one of them. One that is not known is a client's. It may
// be any, except one in the same range as the backend at the other end, unless that is
// everything.
func (r addresses) has(addr, otherEnd netip.Addr) answer {
	if addr.IsValid() {
		at, _ := slices.BinarySearchFunc(r, addr, func(one [2]netip.Addr, addr netip.Addr) int { return one[1].Compare(addr) })
		return answerOf(at < len(r) && between(addr, r[at]))
	}
	if len(r) > manyRanges {
		return some
	}
	found := no
	for _, one := range r {
		switch {
		case isEverything(one):
			return yes
		case !otherEnd.IsValid() || !between(otherEnd, one):
			found = some
		}
	}
	return found
}

// manyRanges is from how many ranges on they are taken for a list of clients.
const manyRanges = 64

// between tells whether an address is in a range.
func between(addr netip.Addr, ends [2]netip.Addr) bool {
	return addr.BitLen() == ends[0].BitLen() && ends[0].Compare(addr) <= 0 && addr.Compare(ends[1]) <= 0
}

// isEverything tells whether a range holds every address of its family.
func isEverything(ends [2]netip.Addr) bool {
	return ends[0].IsUnspecified() && subnet.Last(netip.PrefixFrom(ends[0], 0)) == ends[1]
}

// rangeOf reads ADDRESS or ADDRESS/BITS; not a mask with holes.
func rangeOf(text string) (ends [2]netip.Addr, ok bool) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		one, err := netip.ParseAddr(text)
		return [2]netip.Addr{one, one}, err == nil
	}
	return [2]netip.Addr{prefix.Masked().Addr(), subnet.Last(prefix)}, true
}
