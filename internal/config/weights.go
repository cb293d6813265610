package config

import (
	"slices"

	"natspread/internal/config/value"
)

// Active returns the backends that get new connections, in the order of the file: the
// primaries that are not drained, and the backups that have joined; where there is no such
// primary, the backups that are not drained. The result is not to be changed: it is
// s.Backends itself where each of them is one.
func (s Service) Active() []Backend {
	serves := s.serving()
	idle := func(b Backend) bool { return !serves(b) }
	if !slices.ContainsFunc(s.Backends, idle) {
		return s.Backends
	}
	return slices.DeleteFunc(slices.Clone(s.Backends), idle)
}

// serving returns what tells whether a backend of the service gets new connections.
func (s Service) serving() func(Backend) bool {
	primary := slices.ContainsFunc(s.Backends, func(b Backend) bool { return !b.Backup && !b.Drained() })
	return func(b Backend) bool { return !b.Drained() && (!b.Backup || b.Joined || !primary) }
}

// Turns returns how many turns one period of a weighted round-robin has, and the divisor
// by which the weight of a backend becomes its number of turns: the greatest common
// divisor of all weights, so that the period is the shortest one.
func Turns(backends []Backend) (period, divisor int) {
	sum := 0
	for _, b := range backends {
		sum += b.ActiveWeight()
		divisor = value.GCD(divisor, b.ActiveWeight())
	}
	divisor = max(1, divisor) // every backend is drained
	return sum / divisor, divisor
}
