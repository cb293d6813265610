package main

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestMaglev fills its table evenly.
func TestMaglev(t *testing.T) {
	counts := make([]int, 10)
	for _, place := range maglev(pool(10), maglevSize) {
		counts[place]++
	}
	for place, n := range counts {
		if n < maglevSize/10 || n > maglevSize/10+1 {
			t.Errorf("backend %d has %d of %d entries", place, n, maglevSize)
		}
	}
}

// TestMoved is the least that there can be for rendezvous, and the little of the others.
func TestMoved(t *testing.T) {
	for _, m := range methods() {
		most := map[string]float64{"natspread": 0.12, "Maglev": 0.05, "rendezvous": 0}[m.name]
		for _, sizes := range [][2]int{{10, 9}, {10, 11}} {
			if share := moved(m, pool(sizes[0]), pool(sizes[1])); share > most {
				t.Errorf("%s from %d to %d backends moves %v of the others", m.name, sizes[0], sizes[1], share)
			}
		}
	}
}

// TestSpread has each method give each of ten backends about a tenth of all clients.
func TestSpread(t *testing.T) {
	const draws = 20_000
	backends, random := pool(10), rand.New(rand.NewPCG(3, 4))
	for _, m := range methods() {
		pick, counts := m.pick(backends), map[netip.AddrPort]int{}
		for range draws {
			counts[pick(random.Uint64())]++
		}
		for _, backend := range backends {
			if n := counts[backend]; n < draws/10*9/10 || n > draws/10*11/10 {
				t.Errorf("%s gives %v %d of %d clients", m.name, backend, n, draws)
			}
		}
	}
}

// TestReassigned computes the shares of docs/fleet.md: half of all with two balancers, since those
// of the living one stay.
func TestReassigned(t *testing.T) {
	for balancers, want := range map[int]string{2: "50 % 50 %", 4: "41.7 % 25 %", 64: "33.9 % 1.56 %"} {
		plain, resilient := reassigned(balancers)
		if got := percent(plain) + " " + percent(resilient); got != want {
			t.Errorf("of %d: %s, want %s", balancers, got, want)
		}
	}
}
