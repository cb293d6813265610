// Package subnet reckons with sets of addresses, written as subnets.
package subnet

import "net/netip"

// Within tells whether a subnet holds all of another one.
func Within(inner, outer netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// Covered tells whether subnets together hold all of another one.
func Covered(whole netip.Prefix, by []netip.Prefix) bool {
	var inside []netip.Prefix
	for _, one := range by {
		switch {
		case Within(whole, one):
			return true
		case Within(one, whole):
			inside = append(inside, one)
		}
	}
	if len(inside) < 2 { // and so not both halves
		return false
	}
	low, high := halves(whole)
	return Covered(low, inside) && Covered(high, inside)
}

// Without returns what is left of a subnet without others, in order and in as few subnets as say it;
// none where the others hold all of it.
func Without(whole netip.Prefix, others []netip.Prefix) []netip.Prefix {
	var inside []netip.Prefix
	for _, other := range others {
		switch {
		case Within(whole, other):
			return nil
		case Within(other, whole):
			inside = append(inside, other)
		}
	}
	if len(inside) == 0 {
		return []netip.Prefix{whole}
	}
	low, high := halves(whole)
	return append(Without(low, inside), Without(high, inside)...)
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
