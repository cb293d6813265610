package doctor

import (
	"slices"

	"natspread/internal/doctor/travel"
	"natspread/internal/packetpath"
	"natspread/internal/rules"
)

// Way is what the kernel runs on the packets of a balancer beside natspread's rules: before
// them, after them and instead of them.
type Way struct {
	Found     []Finding // what keeps connections from passing, or may
	Unreached []Finding // rules of others that natspread's come before
}

// Way finds what drops the packets of a balancer, takes them, or keeps them from being
// translated. It is the part of Examine that is worth a look after each change, because
// everything else looks well on a host where something does.
func (h Host) Way(b Balancer) Way {
	read, err := h.readNetwork()
	if err != nil {
		return Way{Found: []Finding{cannotTell(whatOthersDo, err)}}
	}
	return examination{Host: h, Balancer: b, network: read}.way()
}

// whatOthersDo is what is not known where rules could not be read.
const whatOthersDo = "what other rules do with connections"

// way follows packets of each family.
func (e examination) way() Way {
	var way Way
	if e.Unread != nil {
		way.Found = append(way.Found, cannotTell(whatOthersDo, e.Unread))
	}
	for _, family := range e.families() {
		path := packetpath.New(packetpath.Read{Family: family, Variant: e.Variant, Hooks: e.Hooks})
		if path.Alone() {
			continue
		}
		found := finder{examination: e, family: family, packets: e.travel(family, path.WatchesOut()), said: map[string]bool{}}
		found.follow(path)
		way.Found = append(way.Found, found.found...)
		way.Unreached = append(way.Unreached, found.behind...)
	}
	way.Found = once(way.Found)
	return way
}

// once returns findings without those whose words were there before, as those of a table of
// both families.
func once(found []Finding) []Finding {
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(f Finding) bool {
		again := seen[f.What]
		seen[f.What] = true
		return again
	})
}

// travel makes the packets of one family's services.
func (e examination) travel(family rules.Family, out bool) travel.All {
	return travel.Host{Network: e.network, ComesIn: e.comesIn}.Of(e.Services, family, out)
}
