// Package slots says which backend a client keeps: which slot the kernel's hash puts a client
// into, and which backend owns each slot.
//
// Both are functions of their arguments alone, in integers, so that every machine computes
// the same.
package slots

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Seed is the start value of the hash, HMARK's --hmark-rnd. It is the same everywhere, so
// that a client keeps its backend after a boot and at every balancer.
const Seed = 0x6e617473

// The bounds of the number of slots, which is a power of two.
const (
	Min     = 16
	Max     = 4096
	Default = 256
)

// Valid tells whether there may be so many slots.
func Valid(count int) bool { return Min <= count && count <= Max && count&(count-1) == 0 }

// Of returns which of count slots the kernel puts a client into, by so many first bits of
// its address.
//
// It is what xt_HMARK computes when it is given a source prefix only: jhash_3words of the
// source and two zeros, of which the two ends of a connection are sorted. Of an IPv6 address
// the four words are joined by XOR. The slot is the top bits of the hash, so all slots are of
// one size.
func Of(client netip.Addr, prefix, count int) int {
	return int(uint64(hash(word(client, prefix))) * uint64(count) >> 32)
}

// word returns an address less what is beyond its prefix as one word.
func word(client netip.Addr, prefix int) uint32 {
	masked := netip.PrefixFrom(client, prefix).Masked().Addr().AsSlice()
	var joined uint32
	for ; len(masked) > 0; masked = masked[4:] {
		joined ^= binary.BigEndian.Uint32(masked)
	}
	return joined
}

// hash returns the kernel's jhash_3words(0, word, 0, Seed): the last mix of Jenkins' lookup3
// (include/linux/jhash.h).
func hash(word uint32) uint32 {
	const start uint32 = (Seed + 0xdeadbeef + 3<<2) & 0xffffffff
	a, b, c := start, word+start, start
	c = (c ^ b) - bits.RotateLeft32(b, 14)
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	return (c ^ b) - bits.RotateLeft32(b, 24)
}
