package slots

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
)

// Backend is a backend as slots see it. Its port tells only backends of one address apart:
// services with the same addresses send a client to the same one.
type Backend struct {
	Address netip.AddrPort
	Weight  int  // with 0 it is as if it were not there
	Out     bool // it gets no new connections, and its slots go to others until it is back
	Backup  bool // it owns slots only while some of the others are out: of theirs, and no more
}

// Owners returns for each of count slots the place of the backend that owns it; nil where
// every backend is out.
//
// With all backends in service each owns its quota. A backend that is out gives its slots
// away, and no other slot changes its owner. So a client moves only when its own backend goes
// or comes back. That some backends change, or their weights, moves a few of the others, as
// quotas have to be kept.
//
// While a backup is in service, the backups share by the same rules what the others give away:
// first among all backups, and then those that are out give theirs away. So the clients of a
// backup move only when it goes itself, or when one of the others goes or comes back.
func Owners(backends []Backend, count int) []int {
	owners := slices.Repeat([]int{-1}, count)
	joined := slices.ContainsFunc(backends, func(b Backend) bool { return b.Backup && b.Weight > 0 && !b.Out })
	for _, owns := range []func(Backend) bool{
		func(b Backend) bool { return !b.Backup },
		func(b Backend) bool { return b.Backup && joined || !b.Backup && !b.Out },
		func(b Backend) bool { return !b.Out },
	} {
		handOver(backends, owners, owns)
	}
	if owners[0] < 0 {
		return nil
	}
	return owners
}

// handOver takes their slots from the backends that are to own none, and gives the slots without an
// owner to those that are to own some, up to the quota of each. One that has more keeps it.
func handOver(backends []Backend, owners []int, owns func(Backend) bool) {
	left := slices.Clone(backends)
	for i := range left {
		if !owns(left[i]) {
			left[i].Weight = 0
		}
	}
	for slot, owner := range owners {
		if owner >= 0 && left[owner].Weight == 0 {
			owners[slot] = -1
		}
	}
	room := Quotas(left, len(owners))
	if room == nil || !slices.Contains(owners, -1) {
		return
	}
	for _, owner := range owners {
		if owner >= 0 {
			room[owner]--
		}
	}
	give(backends, owners, room)
}

// Primaries returns backends as they are without the backups, in their places.
func Primaries(backends []Backend) []Backend {
	all := slices.Clone(backends)
	for i := range all {
		if all[i].Backup {
			all[i].Weight = 0
		}
	}
	return all
}

// Quotas returns how many of count slots each backend owns by its weight: the whole part of
// its share, and one more for those whose fractions are the largest. None counts as out. It
// returns nil where no backend has a weight.
func Quotas(backends []Backend, count int) []int {
	sum := 0
	for _, backend := range backends {
		sum += backend.Weight
	}
	if sum == 0 {
		return nil
	}
	quotas := make([]int, len(backends))
	remainder := make([]int, len(backends))
	left := count
	for i, backend := range backends {
		quotas[i], remainder[i] = count*backend.Weight/sum, count*backend.Weight%sum
		left -= quotas[i]
	}
	order := Order(backends)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainder[b], remainder[a]) })
	for _, i := range order[:left] {
		quotas[i]++
	}
	return quotas
}

// Places returns a number from 0 to count-1 for each backend with a weight, for names: by a
// hash of its address, and the next free one where two meet. So one backend more or less
// leaves the numbers of the others as they are, but for those few. Others have -1.
func Places(backends []Backend, count int) []int {
	places := slices.Repeat([]int{-1}, len(backends))
	taken := make([]bool, count)
	names := namesOf(backends)
	for _, i := range Order(backends) {
		if backends[i].Weight == 0 {
			continue
		}
		place := int(keyOf(names[i]) % uint64(count))
		for taken[place] {
			place = (place + 1) % count
		}
		places[i], taken[place] = place, true
	}
	return places
}

// Moved compares two lists of the owners of all clients, by their addresses: how many of
// count slots change their owner, and how many of these no quota asked for. Both lists have
// the number of slots of their own service, and the longer one has count.
func Moved(before, after []netip.AddrPort) (moved, needless, count int) {
	count = max(len(before), len(after))
	held := map[netip.AddrPort]int{}
	for slot := range count {
		was, is := before[slot*len(before)/count], after[slot*len(after)/count]
		held[was]--
		held[is]++
		if was != is {
			moved++
		}
	}
	needless = moved
	for _, more := range held {
		needless -= max(0, more)
	}
	return moved, needless, count
}

// bid is the lowest cost of a free slot, and whose it is.
type bid struct {
	cost  uint64
	order int // of the backend
	slot  int
}

// compare breaks ties by the backend, then by the slot.
func (b bid) compare(other bid) int {
	return cmp.Or(cmp.Compare(b.cost, other.cost), cmp.Compare(b.order, other.order), cmp.Compare(b.slot, other.slot))
}

// sink puts a bid of a heap, of which the lowest comes first, behind those that are lower.
func sink(heap []bid, at int) {
	for {
		low := at
		for child := 2*at + 1; child <= 2*at+2 && child < len(heap); child++ {
			if heap[child].compare(heap[low]) < 0 {
				low = child
			}
		}
		if low == at {
			return
		}
		heap[at], heap[low] = heap[low], heap[at]
		at = low
	}
}

// bidders are the backends that have room, in the order in which ties are broken.
type bidders struct {
	backends []Backend
	able     []int    // places in backends
	keys     []uint64 // by the order
}

// newBidders returns those of backends that have room.
func newBidders(backends []Backend, room []int) bidders {
	made := bidders{backends: backends}
	names := namesOf(backends)
	for _, i := range Order(backends) {
		if room[i] > 0 {
			made.able, made.keys = append(made.able, i), append(made.keys, keyOf(names[i]))
		}
	}
	return made
}

// costs returns what a slot costs each.
func (b bidders) costs(slot int) []uint64 {
	costs := make([]uint64, len(b.able))
	for order, i := range b.able {
		costs[order] = cost(b.keys[order], slot, b.backends[i].Weight)
	}
	return costs
}

// lowest returns the bid of a slot by its costs: of those that still have room.
func (b bidders) lowest(slot int, costs []uint64, room []int) bid {
	best := bid{order: -1, slot: slot}
	for order, cost := range costs {
		if room[b.able[order]] > 0 && (best.order < 0 || cost < best.cost) {
			best = bid{cost, order, slot}
		}
	}
	return best
}

// give gives each free slot, which has the owner -1, to a backend that has room. Of all pairs
// of the two that of the lowest cost comes first. These are a million and more, so they are
// not sorted: a slot bids for one backend, and for the next when that has no room any more.
func give(backends []Backend, owners, room []int) {
	bidders := newBidders(backends, room)
	costs := make([][]uint64, len(owners))
	var heap []bid
	for slot, owner := range owners {
		if owner < 0 {
			costs[slot] = bidders.costs(slot)
			heap = append(heap, bidders.lowest(slot, costs[slot], room))
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		sink(heap, i)
	}
	for len(heap) > 0 {
		first := heap[0]
		if owner := bidders.able[first.order]; room[owner] > 0 {
			owners[first.slot] = owner
			room[owner]--
			last := len(heap) - 1
			heap[0], heap = heap[last], heap[:last]
		} else {
			heap[0] = bidders.lowest(first.slot, costs[first.slot], room)
		}
		sink(heap, 0)
	}
}

// namesOf returns what the keys of backends are made of: the address, and of those with a
// weight that have the same one the port, too.
func namesOf(backends []Backend) []string {
	same := map[netip.Addr]int{}
	for _, backend := range backends {
		if backend.Weight > 0 {
			same[backend.Address.Addr()]++
		}
	}
	names := make([]string, len(backends))
	for i, backend := range backends {
		if names[i] = backend.Address.Addr().String(); same[backend.Address.Addr()] > 1 {
			names[i] = backend.Address.String()
		}
	}
	return names
}

// Order returns the places of backends in the order in which ties between them are broken:
// bytewise by their names.
func Order(backends []Backend) []int {
	names := namesOf(backends)
	order := make([]int, len(backends))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(names[a], names[b]) })
	return order
}

// keyOf returns the number by which a backend draws.
func keyOf(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])
}

// cost returns how dear a slot is to a backend. It is what a draw of the two gives, evenly
// spread, as -log2, over the weight: the lowest of several is a backend's as often as its
// weight says (weighted rendezvous hashing).
func cost(key uint64, slot, weight int) uint64 {
	return logarithm(draw(key, slot)) << 16 / uint64(weight)
}

// draw returns a number from 1 to 2^64-1 that looks like chance.
func draw(key uint64, slot int) uint64 { return max(1, mix(key^mix(uint64(slot)))) }

// mix is the step of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// logarithm returns -log2(u / 2^64) with 32 bits behind the point. A float would not be the
// same on every machine. There is no branch in the loop: each bit is as good as chance, so a
// processor would guess every second one wrong.
func logarithm(u uint64) uint64 {
	zeros := bits.LeadingZeros64(u)
	x, fraction := u<<zeros, uint64(0)
	for range 32 {
		high, low := bits.Mul64(x, x)
		bit := high >> 63
		fraction = fraction<<1 | bit
		below := bit - 1 // all ones where the square is below 2, and has to move up by a bit
		x = high + high&below + low>>63&below
	}
	return uint64(zeros+1)<<32 - fraction
}
