package main

import (
	"hash/fnv"
	"net/netip"
)

// maglevSize is the table of the paper, and of Katran: a prime.
const maglevSize = 65537

// hashOf is a backend's number; a seed gives it another one.
func hashOf(backend netip.AddrPort, seed uint64) uint64 {
	sum := fnv.New64a()
	text, _ := backend.MarshalText() // it never fails
	_, _ = sum.Write(text)
	return mix(sum.Sum64() ^ seed)
}

// mix spreads each bit over all (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// maglev returns the place of a backend for each entry of a table, as in section 3.4 of the
// paper: each takes in turn the next free entry of its own permutation.
func maglev(backends []netip.AddrPort, size uint64) []int {
	offsets, skips, next := make([]uint64, len(backends)), make([]uint64, len(backends)), make([]uint64, len(backends))
	for i, backend := range backends {
		offsets[i], skips[i] = hashOf(backend, 1)%size, hashOf(backend, 2)%(size-1)+1
	}
	table := make([]int, size)
	for i := range table {
		table[i] = -1
	}
	for filled := uint64(0); ; {
		for i := range backends {
			entry := (offsets[i] + next[i]*skips[i]) % size
			for table[entry] >= 0 {
				next[i]++
				entry = (offsets[i] + next[i]*skips[i]) % size
			}
			table[entry] = i
			next[i]++
			if filled++; filled == size {
				return table
			}
		}
	}
}

// rendezvous returns the backend whose number with the client's is the highest.
func rendezvous(backends []netip.AddrPort, client uint64) (best netip.AddrPort) {
	var highest uint64
	for i, backend := range backends {
		if bid := hashOf(backend, mix(client)); i == 0 || bid > highest {
			best, highest = backend, bid
		}
	}
	return best
}
