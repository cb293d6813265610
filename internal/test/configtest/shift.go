package configtest

import (
	"math"
	"slices"

	"natspread/internal/config"
)

// shift gives the backends of a service that have a port a range of them, as long as that of the
// first listen address, and takes the listen addresses out that have another number of ports. It
// leaves a service alone that would have too many turns then, a check without a port, or a backend
// in common with a service that has the same listen address.
func shift(made *config.Service, others []config.Service) {
	width := made.Listen[0].Ports.Last - made.Listen[0].Ports.First
	listens := slices.DeleteFunc(slices.Clone(made.Listen), func(l config.Listen) bool { return l.Ports.Last-l.Ports.First != width })
	turns, _ := config.Turns(made.Backends)
	tooLate := func(b config.Backend) bool { return b.Port > math.MaxUint16-width }
	if width == 0 || made.Algorithm == config.RoundRobin && turns*len(listens) > 1024 || slices.ContainsFunc(made.Backends, tooLate) ||
		made.Checked() && made.Check.Port == 0 {
		return
	}
	shifted := *made
	shifted.Listen, shifted.Backends = listens, slices.Clone(made.Backends)
	for i := range shifted.Backends {
		if b := &shifted.Backends[i]; b.Port != 0 {
			b.Last = b.Port + width
		}
	}
	for _, other := range others {
		if slices.ContainsFunc(listens, func(l config.Listen) bool { return claims(other, shifted, l) && !mayJoin(shifted, other, l) }) {
			return
		}
	}
	*made = shifted
}
