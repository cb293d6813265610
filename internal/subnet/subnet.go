// Package subnet reckons with sets of addresses, written as subnets.
package subnet

import "net/netip"

// Within tells whether a subnet holds all of another one.
func Within(inner, outer netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// Covered tells whether subnets together hold all of another one.
func Covered(whole netip.Prefix, by []netip.Prefix) bool {
	inside, all := meet(whole, by)
	if all || len(inside) < 2 { // which are not both halves
		return all
	}
	low, high := halves(whole)
	return Covered(low, inside) && Covered(high, inside)
}

// Without returns what is left of a subnet without others, in order and in as few subnets as say it;
// none where the others hold all of it.
func Without(whole netip.Prefix, others []netip.Prefix) []netip.Prefix {
	inside, all := meet(whole, others)
	switch {
	case all:
		return nil
	case len(inside) == 0:
		return []netip.Prefix{whole}
	}
	low, high := halves(whole)
	return append(Without(low, inside), Without(high, inside)...)
}

// meet returns those subnets that are in another one, or tells that one of them holds all of it.
func meet(whole netip.Prefix, others []netip.Prefix) (inside []netip.Prefix, all bool) {
	for _, other := range others {
		switch {
		case Within(whole, other):
			return nil, true
		case Within(other, whole):
			inside = append(inside, other)
		}
	}
	return inside, false
}

// halves returns the two halves of a subnet.
func halves(whole netip.Prefix) (low, high netip.Prefix) {
	bit := whole.Bits() // by which they differ
	bytes := whole.Addr().AsSlice()
	bytes[bit/8] |= 0x80 >> (bit % 8)
	middle, _ := netip.AddrFromSlice(bytes)
	return netip.PrefixFrom(whole.Addr(), bit+1), netip.PrefixFrom(middle, bit+1)
}

// Last returns the last address of a subnet.
func Last(whole netip.Prefix) netip.Addr {
	bytes := whole.Addr().AsSlice()
	for bit := whole.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}
