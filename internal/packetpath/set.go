package packetpath

import "math/bits"

// set is some of many packets, by their places.
type set []uint64

// newSet returns an empty one of n packets.
func newSet(n int) set { return make(set, (n+63)/64) }

// fullSet returns the one of all n packets.
func fullSet(n int) set {
	all := newSet(n)
	for i := range n {
		all.add(i)
	}
	return all
}

// add adds a packet.
func (s set) add(i int) { s[i/64] |= 1 << (i % 64) }

// has tells whether a packet is in it.
func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// empty tells whether no packet is in it.
func (s set) empty() bool {
	for _, word := range s {
		if word != 0 {
			return false
		}
	}
	return true
}

// and returns the packets that are in both.
func (s set) and(other set) set {
	both := make(set, len(s))
	for i := range s {
		both[i] = s[i] & other[i]
	}
	return both
}

// or adds the packets of another.
func (s set) or(other set) {
	for i := range other {
		s[i] |= other[i]
	}
}

// less takes out the packets of another.
func (s set) less(other set) {
	for i := range other {
		s[i] &^= other[i]
	}
}

// without returns the packets that are not in another.
func (s set) without(other set) set {
	rest := make(set, len(s))
	for i := range s {
		rest[i] = s[i] &^ other[i]
	}
	return rest
}

// members returns the places of its packets, in order.
func (s set) members() []int {
	var all []int
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			all = append(all, i*64+bits.TrailingZeros64(word))
		}
	}
	return all
}
