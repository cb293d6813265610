package health

import (
	"slices"

	"natspread/internal/config"
)

// Choice is which backends a service uses now.
type Choice struct {
	Mode   Mode
	Out    []config.Backend // the generation sends connections there, and now nobody does
	ByHand []config.Backend // of Out: drained by hand
	Joined []config.Backend // the other way round
	Up     int              // primaries in service that are up
	Of     int              // primaries in service
}

// Changes tells whether the service's rules differ from those of the generation.
func (c Choice) Changes() bool { return len(c.Out)+len(c.Joined) > 0 }

// Choose chooses the backends of a service by which of them are up. It leaves out those that
// are drained by hand until the next load (natspread drain --runtime); drained has their names
// as config.Backend.String writes them.
//
// Backends with weight 0 or drain are in no service here. Of the others, primaries that are up
// are used. Where they are fewer than min_up, backups that are up join. Where no backup is up
// either, all primaries are used as in the generation: a check that fails everywhere is more
// likely to be wrong itself. Only a drain by hand can leave a service without any backend.
func Choose(s config.Service, up func(config.Backend) bool, drained []string) Choice {
	out := make(map[string]bool, len(drained))
	for _, name := range drained {
		out[name] = true
	}
	byHand := func(b config.Backend) bool { return len(out) > 0 && out[b.String()] }
	p := poolOf(s, byHand)
	isUp := func(place int) bool { return up(s.Backends[place]) }
	primaries, backups := filter(p.primaries, isUp), filter(p.backups, isUp)
	mode, used := p.choose(max(1, s.MinUp), primaries, backups)
	choice := Choice{Mode: mode, Up: len(primaries), Of: len(p.primaries)}
	uses, used0 := places(s, used), places(s, poolOf(s, nobody).listed())
	for i, b := range s.Backends {
		switch {
		case used0[i] && !uses[i], !b.Drained() && byHand(b):
			choice.Out = append(choice.Out, b)
			if byHand(b) {
				choice.ByHand = append(choice.ByHand, b)
			}
		case uses[i] && !used0[i]:
			choice.Joined = append(choice.Joined, b)
		}
	}
	return choice
}

// nobody is drained by hand.
func nobody(config.Backend) bool { return false }

// pool is the backends of a service that may get connections, by their places.
type pool struct{ primaries, backups []int }

// poolOf returns the backends of a service but for those that are drained.
func poolOf(s config.Service, byHand func(config.Backend) bool) pool {
	var p pool
	for i, b := range s.Backends {
		switch {
		case b.Drained() || byHand(b):
		case b.Backup:
			p.backups = append(p.backups, i)
		default:
			p.primaries = append(p.primaries, i)
		}
	}
	return p
}

// listed returns those that the generation uses.
func (p pool) listed() []int {
	if len(p.primaries) == 0 {
		return p.backups
	}
	return p.primaries
}

// choose returns the mode, and the places of those that are used, by the places of those that
// are up.
func (p pool) choose(minUp int, primaries, backups []int) (Mode, []int) {
	switch {
	case len(p.primaries) == 0 && len(backups) > 0:
		return Drained, backups
	case len(p.primaries) == 0:
		return Drained, p.backups
	case len(primaries) >= minUp, len(primaries) == len(p.primaries) && len(backups) == 0:
		return Normal, primaries
	case len(backups) > 0:
		return Backup, append(primaries, backups...)
	default:
		return FailOpen, p.primaries
	}
}

// filter returns those of places for which a function holds.
func filter(places []int, holds func(int) bool) []int {
	return slices.DeleteFunc(slices.Clone(places), func(place int) bool { return !holds(place) })
}

// places returns, for each backend of a service, whether its place is listed.
func places(s config.Service, list []int) []bool {
	all := make([]bool, len(s.Backends))
	for _, place := range list {
		all[place] = true
	}
	return all
}

// Apply returns the service as it is to be rendered: backends that are out take no new
// connections, and backups that joined take some. What keeps its place in slots keeps it. A
// backend that is drained by hand is drained as by the file: it is alive, and keeps its open
// connections.
func (c Choice) Apply(s config.Service) config.Service {
	if !c.Changes() {
		return s
	}
	out, joined, byHand := setOf(c.Out), setOf(c.Joined), setOf(c.ByHand)
	s.Backends = slices.Clone(s.Backends)
	for i, b := range s.Backends {
		// Where no primary is left, each backup that is not drained would be used.
		unused := b.Backup && len(joined) > 0 && !joined[b]
		s.Backends[i].Joined = joined[b]
		s.Backends[i].Drain = b.Drain || byHand[b]
		s.Backends[i].Out = b.Out || unused || out[b] && !byHand[b]
	}
	return s
}

// setOf returns backends as a set.
func setOf(backends []config.Backend) map[config.Backend]bool {
	set := make(map[config.Backend]bool, len(backends))
	for _, b := range backends {
		set[b] = true
	}
	return set
}
