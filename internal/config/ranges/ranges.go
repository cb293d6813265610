// Package ranges finds those of many ranges of ports that overlap, in no more time than a sort takes.
package ranges

import (
	"iter"
	"sort"
)

// Ranges are keys with a range of ports each, in the order of their first ports, with the one that
// reaches furthest up to each of them.
type Ranges[K any] struct {
	Keys     []K
	bounds   func(K) (first, last uint16)
	furthest []int
}

// New prepares keys that are sorted by first port.
func New[K any](sorted []K, bounds func(K) (first, last uint16)) Ranges[K] {
	r := Ranges[K]{sorted, bounds, make([]int, len(sorted))}
	for i := 1; i < len(sorted); i++ {
		r.furthest[i] = r.furthest[i-1]
		if r.last(i) > r.last(r.furthest[i]) {
			r.furthest[i] = i
		}
	}
	return r
}

// last returns the last port of the key at a place.
func (r Ranges[K]) last(place int) uint16 {
	_, last := r.bounds(r.Keys[place])
	return last
}

// Overlapping returns a key whose ports overlap those of another one, or nil.
func (r Ranges[K]) Overlapping(other K) *K {
	if len(r.Keys) == 0 {
		return nil
	}
	_, end := r.bounds(other)
	return r.Among(sort.Search(len(r.Keys), func(i int) bool {
		first, _ := r.bounds(r.Keys[i])
		return first > end
	}), other)
}

// Among returns that of the first n keys which reaches into the ports of another one,
// all of which begin no later than that one ends; or nil.
func (r Ranges[K]) Among(n int, other K) *K {
	if n == 0 {
		return nil
	}
	if first, _ := r.bounds(other); r.last(r.furthest[n-1]) >= first {
		return &r.Keys[r.furthest[n-1]]
	}
	return nil
}

// Runs cuts a sorted list where same stops holding.
func Runs[K any](list []K, same func(a, b K) bool) iter.Seq[[]K] {
	return func(yield func([]K) bool) {
		for len(list) > 0 {
			n := 1
			for n < len(list) && same(list[0], list[n]) {
				n++
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}
