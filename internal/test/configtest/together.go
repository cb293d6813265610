package configtest

import (
	"slices"

	"natspread/internal/config"
)

// mayJoin tells whether a service may have a listen address of another one, too: interfaces or clients
// tell them apart, and their backends do so for what is sent there.
func mayJoin(made, other config.Service, l config.Listen) bool {
	has := func(theirs config.Listen) bool { return theirs == l && l.To == 0 }
	inCommon := func(b config.Backend) bool {
		return slices.ContainsFunc(made.Backends, func(mine config.Backend) bool {
			return b.Addr == mine.Addr && l.Answers(b).Overlaps(l.Answers(mine))
		})
	}
	return slices.ContainsFunc(other.Listen, has) && made.Apart(other.Audience) &&
		(made.ApartByInterface(other.Audience) || made.Refused == other.Refused) && !slices.ContainsFunc(other.Backends, inCommon)
}

// together leaves connections made on the balancer to the first of the services that have a listen
// address.
func together(made *config.Service, others []config.Service) {
	for _, other := range others {
		shared := func(l config.Listen) bool { return claims(other, *made, l) }
		if other.Local && slices.ContainsFunc(made.Listen, shared) {
			made.Local = false
		}
	}
}
