package main

import "testing"

// TestMaglev fills its table evenly, and moves few of those who stay.
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

// TestReassigned is half of all with two balancers, since those of the living one stay.
func TestReassigned(t *testing.T) {
	if plain, resilient := reassigned(2); plain != 0.5 || resilient != 0.5 {
		t.Errorf("of 2: %v and %v", plain, resilient)
	}
	if plain, resilient := reassigned(4); plain <= resilient {
		t.Errorf("a plain group moves %v, no more than a resilient one, %v", plain, resilient)
	}
}
