package config

import "slices"

// Active returns the backends that get new connections, in the order of the file. The
// result is not to be changed: it is s.Backends itself where no backend is drained.
func (s Service) Active() []Backend {
	if !slices.ContainsFunc(s.Backends, Backend.Drained) {
		return s.Backends
	}
	return slices.DeleteFunc(slices.Clone(s.Backends), Backend.Drained)
}

// Turns returns how many turns one period of a weighted round-robin has, and the divisor
// by which the weight of a backend becomes its number of turns: the greatest common
// divisor of all weights, so that the period is the shortest one.
func Turns(backends []Backend) (period, divisor int) {
	sum := 0
	for _, b := range backends {
		sum += b.ActiveWeight()
		divisor = gcd(divisor, b.ActiveWeight())
	}
	divisor = max(1, divisor) // every backend is drained
	return sum / divisor, divisor
}

// gcd returns the greatest common divisor; that of 0 and n is n.
func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
