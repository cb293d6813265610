package slots

import "slices"

// PerBackend is how many slots there are to be for each backend, on average: with fewer the
// shares are far from the weights.
const PerBackend = 4

// Listed counts the backends with a weight.
func Listed(pool []Backend) int {
	n := 0
	for _, backend := range pool {
		if backend.Weight > 0 {
			n++
		}
	}
	return n
}

// Enough returns the smallest number of slots that is enough for the backends, if there
// is one.
func Enough(pool []Backend) (count int, known bool) {
	for count = Min; count <= Max; count *= 2 {
		if Listed(pool) <= count/PerBackend && len(OwnNone(pool, count)) == 0 {
			return count, true
		}
	}
	return Max, false
}

// OwnNone returns the places of the backends with a weight that would own no slot.
func OwnNone(pool []Backend, count int) []int {
	base, all := Quotas(Primaries(pool), count), Quotas(pool, count)
	var places []int
	for i, backend := range pool {
		if backend.Weight > 0 && (all[i] == 0 || !backend.Backup && base[i] == 0) {
			places = append(places, i)
		}
	}
	return places
}

// LeastWeight returns a weight with which those that own none of the most slots there are
// would each own one.
func LeastWeight(pool []Backend) int {
	heavy := 0
	none := OwnNone(pool, Max)
	for i, backend := range pool {
		if !slices.Contains(none, i) {
			heavy += backend.Weight
		}
	}
	return (heavy + Max - len(none) - 1) / (Max - len(none))
}
