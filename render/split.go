package render

import (
	"math/bits"
	"net/netip"
	"slices"
	"sort"

	"natspread/internal/rules"
)

// by says what tells a group from the others of its chain.
type by int

// What there is to tell by, in the order in which it is cheap: an address costs the
// kernel a third of a port.
const (
	byAddress by = iota
	byProtocol
	byPort
)

// group is some of a chain's entries, which get a chain of their own.
type group struct {
	by      by
	entries []dispatchEntry // sorted, at least one
	prefix  netip.Prefix    // holds their addresses; zero when those are every address
}

// ports returns the range from the first to the last port. Entries of one address and
// protocol are sorted and do not meet, so the ranges of two groups do not either.
func (g group) ports() rules.Ports {
	return rules.Ports{First: g.entries[0].ports.First, Last: g.entries[len(g.entries)-1].ports.Last}
}

// stride is how many bits of an address or a port part a chain: fanOut ways.
const stride = 2

// splitByPrefix cuts entries at fixed places, the same whatever other entries there are: by
// the next stride of bits in which the addresses differ, else by protocol, else by
// the next stride of bits in which the ports do. A service more or less changes the
// chains on its own way only.
func splitByPrefix(entries []dispatchEntry) []group {
	first, last := entries[0], entries[len(entries)-1]
	switch {
	case first.address != last.address:
		length := regionBits(entries) + stride
		return runs(entries, byAddress, func(c dispatchEntry) netip.Prefix { return netip.PrefixFrom(c.address, length).Masked() })
	case first.protocol != last.protocol:
		return runs(entries, byProtocol, func(c dispatchEntry) string { return c.protocol })
	default:
		length := commonPorts(entries) + stride
		return runs(entries, byPort, func(c dispatchEntry) uint16 { return c.ports.First >> (16 - length) })
	}
}

// runs cuts entries where a key changes.
func runs[K comparable](entries []dispatchEntry, by by, key func(dispatchEntry) K) []group {
	var groups []group
	for len(entries) > 0 {
		here := key(entries[0])
		n := sort.Search(len(entries), func(i int) bool { return key(entries[i]) != here })
		groups = append(groups, group{by, entries[:n:n], region(entries[:n])})
		entries = entries[n:]
	}
	return groups
}

// region returns the smallest prefix of whole strides that holds the addresses of
// sorted entries.
func region(entries []dispatchEntry) netip.Prefix {
	if !entries[0].address.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(entries[0].address, regionBits(entries)).Masked()
}

// regionBits returns how many bits, in whole strides, the addresses of sorted entries
// have in common.
func regionBits(entries []dispatchEntry) int {
	return commonBits(entries[0].address, entries[len(entries)-1].address) / stride * stride
}

// commonPorts returns the same for the first ports of entries of one protocol.
func commonPorts(entries []dispatchEntry) int {
	differ := entries[0].ports.First ^ entries[len(entries)-1].ports.First
	return bits.LeadingZeros16(differ) / stride * stride
}

// wide is into how many groups balanced cuts entries: enough for 60,000 entries within
// treeDepth, whatever their addresses.
const wide = 8

// splitBalanced cuts entries whose addresses part at fixed places too late, like one in
// each of many ever smaller subnets: none of its groups is large. The largest group
// is cut time and again: by the prefix that holds about half of it, which then stands
// before the rest, or among the ports of one address in the middle.
func splitBalanced(entries []dispatchEntry) []group {
	groups := []group{{byAddress, entries, region(entries)}}
	for len(groups) < wide {
		i := largest(groups, func(g group) int { return len(g.entries) })
		inner, rest := splitMiddle(groups[i].entries)
		if len(rest) == 0 {
			break
		}
		groups[i].entries = rest
		groups = slices.Insert(groups, i, group{byAddress, inner, common(inner[0].address, inner[len(inner)-1].address)})
	}
	if len(groups) == 1 {
		return splitEvenly(entries)
	}
	return groups
}

// splitEvenly cuts the entries of one address: by protocol if there are several, else
// into as many groups as balanced does, of one size.
func splitEvenly(entries []dispatchEntry) []group {
	groups := splitByPrefix(entries)
	if groups[0].by == byProtocol {
		return groups
	}
	groups = nil
	for part := range slices.Chunk(entries, (len(entries)+wide-1)/wide) {
		groups = append(groups, group{byPort, part, region(part)})
	}
	return groups
}

// largest returns the place of the largest group, of the first of several.
func largest[G any](groups []G, size func(G) int) int {
	place := 0
	for i, group := range groups {
		if size(group) > size(groups[place]) {
			place = i
		}
	}
	return place
}

// splitMiddle returns those of sorted entries that a prefix of their addresses holds, at
// most two thirds and at least one third of them, and the rest; all of them and no
// rest when one address has more.
func splitMiddle(entries []dispatchEntry) (inner, rest []dispatchEntry) {
	inner = entries
	for 3*len(inner) > 2*len(entries) {
		if inner[0].address == inner[len(inner)-1].address {
			break
		}
		bits := commonBits(inner[0].address, inner[len(inner)-1].address)
		half := sort.Search(len(inner), func(i int) bool { return commonBits(inner[0].address, inner[i].address) == bits })
		if 2*half >= len(inner) {
			inner = inner[:half]
		} else {
			inner = inner[half:]
		}
	}
	start := slices.IndexFunc(entries, func(c dispatchEntry) bool { return compareEntries(c, inner[0]) == 0 })
	return inner, slices.Concat(entries[:start], entries[start+len(inner):])
}

// common returns the smallest prefix that holds two addresses, and so all that are between them.
// Unlike region it holds none of the other half that splitMiddle cut off.
func common(first, last netip.Addr) netip.Prefix {
	return netip.PrefixFrom(first, commonBits(first, last)).Masked()
}

// commonBits returns how many first bits two addresses have in common.
func commonBits(a, b netip.Addr) int {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range x {
		if x[i] != y[i] {
			return 8*i + bits.LeadingZeros8(x[i]^y[i])
		}
	}
	return 8 * len(x)
}
