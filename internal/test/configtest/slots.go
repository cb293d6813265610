package configtest

import (
	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/slots"
)

// slotCounts returns how many slots a service may have, the fewest first; none where its
// algorithm has no slots. Where the weights are too far from each other they become 1.
func slotCounts(service config.Service) (counts []int) {
	if service.Algorithm != config.Source && service.Algorithm != config.Flow {
		return nil
	}
	for count := slots.Min; count <= slots.Max; count *= 2 {
		if enough(service, count) {
			counts = append(counts, count)
		}
	}
	if len(counts) > 0 {
		return counts
	}
	for i := range service.Backends {
		service.Backends[i].Weight = 1
	}
	return slotCounts(service)
}

// enough tells whether a number of slots is enough for the backends of a service, without its
// backups and with them.
func enough(service config.Service, count int) bool {
	pool := service.SlotBackends()
	return owned(slots.Primaries(pool), count) && owned(pool, count)
}

// owned tells whether each of some backends with a weight owns some of the slots, of which
// there are four for each.
func owned(pool []slots.Backend, count int) bool {
	weighted, owning := 0, 0
	for _, backend := range pool {
		if backend.Weight > 0 {
			weighted++
		}
	}
	for _, quota := range slots.Quotas(pool, count) {
		if quota > 0 {
			owning++
		}
	}
	return owning == weighted && 4*weighted <= count
}

// sourcePrefix generates the prefix of a service that has slots.
func sourcePrefix(t *rapid.T, made config.Service) int {
	most := made.Backends[0].Addr.BitLen()
	if made.Algorithm == config.Flow {
		return most
	}
	return rapid.IntRange(max(8, most/8), most).Draw(t, "source_prefix")
}
