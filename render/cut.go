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

// group is some of a chain's claims, which get a chain of their own.
type group struct {
	by     by
	claims []claim      // sorted, at least one
	prefix netip.Prefix // holds their addresses; zero when those are every address
}

// ports returns the range from the first to the last port. Claims of one address and
// protocol are sorted and do not meet, so the ranges of two groups do not either.
func (g group) ports() rules.Ports {
	return rules.Ports{First: g.claims[0].ports.First, Last: g.claims[len(g.claims)-1].ports.Last}
}

// stride is how many bits of an address or a port part a chain: fanOut ways.
const stride = 2

// parted cuts claims at fixed places, the same whatever other claims there are: by
// the next stride of bits in which the addresses differ, else by protocol, else by
// the next stride of bits in which the ports do. A service more or less changes the
// chains on its own way only.
func parted(claims []claim) []group {
	first, last := claims[0], claims[len(claims)-1]
	switch {
	case first.address != last.address:
		length := regionBits(claims) + stride
		return runs(claims, byAddress, func(c claim) netip.Prefix { return netip.PrefixFrom(c.address, length).Masked() })
	case first.protocol != last.protocol:
		return runs(claims, byProtocol, func(c claim) string { return c.protocol })
	default:
		length := commonPorts(claims) + stride
		return runs(claims, byPort, func(c claim) uint16 { return c.ports.First >> (16 - length) })
	}
}

// runs cuts claims where a key changes.
func runs[K comparable](claims []claim, by by, key func(claim) K) []group {
	var groups []group
	for len(claims) > 0 {
		here := key(claims[0])
		n := sort.Search(len(claims), func(i int) bool { return key(claims[i]) != here })
		groups = append(groups, group{by, claims[:n:n], region(claims[:n])})
		claims = claims[n:]
	}
	return groups
}

// region returns the smallest prefix of whole strides that holds the addresses of
// sorted claims.
func region(claims []claim) netip.Prefix {
	if !claims[0].address.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(claims[0].address, regionBits(claims)).Masked()
}

// regionBits returns how many bits, in whole strides, the addresses of sorted claims
// have in common.
func regionBits(claims []claim) int {
	return commonBits(claims[0].address, claims[len(claims)-1].address) / stride * stride
}

// commonPorts returns the same for the first ports of claims of one protocol.
func commonPorts(claims []claim) int {
	differ := claims[0].ports.First ^ claims[len(claims)-1].ports.First
	return bits.LeadingZeros16(differ) / stride * stride
}

// wide is into how many groups balanced cuts claims: enough for 60,000 claims within
// treeDepth, whatever their addresses.
const wide = 8

// balanced cuts claims whose addresses part at fixed places too late, like one in
// each of many ever smaller subnets: none of its groups is large. The largest group
// is cut time and again: by the prefix that holds about half of it, which then stands
// before the rest, or among the ports of one address in the middle.
func balanced(claims []claim) []group {
	groups := []group{{byAddress, claims, region(claims)}}
	for len(groups) < wide {
		i := largest(groups)
		inner, rest := heart(groups[i].claims)
		if len(rest) == 0 {
			break
		}
		groups[i].claims = rest
		groups = slices.Insert(groups, i, group{byAddress, inner, common(inner)})
	}
	if len(groups) == 1 {
		return quantiles(claims)
	}
	return groups
}

// quantiles cuts the claims of one address: by protocol if there are several, else
// into as many groups as balanced does, of one size.
func quantiles(claims []claim) []group {
	groups := parted(claims)
	if groups[0].by == byProtocol {
		return groups
	}
	groups = nil
	for part := range slices.Chunk(claims, (len(claims)+wide-1)/wide) {
		groups = append(groups, group{byPort, part, region(part)})
	}
	return groups
}

// largest returns the place of the group with the most claims.
func largest(groups []group) int {
	place := 0
	for i, group := range groups {
		if len(group.claims) > len(groups[place].claims) {
			place = i
		}
	}
	return place
}

// heart returns those of sorted claims that a prefix of their addresses holds, at
// most two thirds and at least one third of them, and the rest; all of them and no
// rest when one address has more.
func heart(claims []claim) (inner, rest []claim) {
	inner = claims
	for 3*len(inner) > 2*len(claims) {
		if inner[0].address == inner[len(inner)-1].address {
			break
		}
		bits := common(inner).Bits()
		half := sort.Search(len(inner), func(i int) bool { return commonBits(inner[0].address, inner[i].address) == bits })
		if 2*half >= len(inner) {
			inner = inner[:half]
		} else {
			inner = inner[half:]
		}
	}
	start := slices.IndexFunc(claims, func(c claim) bool { return compareClaims(c, inner[0]) == 0 })
	return inner, slices.Concat(claims[:start], claims[start+len(inner):])
}

// common returns the smallest prefix that holds the addresses of sorted claims, and
// unlike region none of the other half that heart cut off.
func common(claims []claim) netip.Prefix {
	first, last := claims[0].address, claims[len(claims)-1].address
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
