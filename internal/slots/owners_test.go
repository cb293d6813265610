package slots

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSteps has each step of the owners' arithmetic.
func TestSteps(t *testing.T) {
	one := keyOf("10.0.0.1")
	for name, test := range map[string]struct{ got, want uint64 }{
		"mix 0":                     {mix(0), 0xe220a8397b1dcdaf},
		"mix 1":                     {mix(1), 0x910a2dec89025cc1},
		"key of 10.0.0.1":           {one, 0xf5047344122f0dee},
		"key of 10.0.0.2":           {keyOf("10.0.0.2"), 0xcb5f37b4762871e6},
		"key of 10.0.0.3":           {keyOf("10.0.0.3"), 0xa9a5126d7cca4ab5},
		"key of fd00::1":            {keyOf("fd00::1"), 0xcb2a2b4daa420349},
		"log of 1":                  {logarithm(1), 274877906944},
		"log of 2^63":               {logarithm(1 << 63), 4294967296},
		"log of 3*2^62":             {logarithm(3 << 62), 1782572487},
		"log of 2^64-1":             {logarithm(1<<64 - 1), 1},
		"draw of slot 0":            {draw(one, 0), 0xed081b2ce37e2b85},
		"draw that would be 0":      {draw(unmix0^mix(7), 7), 1},
		"cost of slot 0, weight 1":  {cost(one, 0, 1), 31261739974656},
		"cost of slot 0, weight 2":  {cost(one, 0, 2), 15630869987328},
		"cost of slot 255":          {cost(one, 255, 1), 660714158620672},
		"cost of the dearest, at 1": {logarithm(1) << 16 >> 16, 274877906944},
	} {
		if test.got != test.want {
			t.Errorf("%s is %d (%x), not %d (%x)", name, test.got, test.got, test.want, test.want)
		}
	}
}

// unmix0 is what mix makes 0 of: each step of it can be undone, and 0 stays 0.
const unmix0 = -0x9e3779b97f4a7c15 & (1<<64 - 1)

// backends returns backends at the first addresses of a subnet, one for each weight.
func backends(subnet string, weights ...int) []Backend {
	all := make([]Backend, len(weights))
	for i, weight := range weights {
		all[i] = Backend{Address: netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprint(subnet, i+1)), 0), Weight: weight}
	}
	return all
}

// out takes backends out, by their places.
func out(all []Backend, places ...int) []Backend {
	for _, place := range places {
		all[place].Out = true
	}
	return all
}

// counts returns how many slots each backend owns.
func counts(owners []int, backends int) []int {
	held := make([]int, backends)
	for _, owner := range owners {
		held[owner]++
	}
	return held
}

// TestOwners has vectors that hold on every machine.
func TestOwners(t *testing.T) {
	ten := slices.Repeat([]int{1}, 10)
	for name, test := range map[string]struct {
		backends []Backend
		counts   []int
		first32  string // by the number at the end of the address
	}{
		"three":           {backends("10.0.0.", 1, 1, 1), []int{86, 85, 85}, "1 1 2 2 3 1 2 2 2 1 1 3 2 3 3 2 1 3 2 2 3 1 1 2 2 2 2 3 2 3 2 3"},
		"one of three":    {out(backends("10.0.0.", 1, 1, 1), 1), []int{128, 0, 128}, "1 1 3 3 3 1 3 1 1 1 1 3 1 3 3 3 1 3 3 1 3 1 1 3 3 3 1 3 3 3 1 3"},
		"5:1:1":           {backends("10.0.0.", 5, 1, 1), []int{183, 37, 36}, "1 1 2 3 1 1 2 2 2 1 1 1 1 1 1 2 1 1 2 1 3 1 1 2 1 2 1 1 1 3 1 3"},
		"5:1:1, no heavy": {out(backends("10.0.0.", 5, 1, 1), 0), []int{0, 128, 128}, "2 2 2 3 3 2 2 2 2 2 3 3 2 3 3 2 2 3 2 2 3 3 3 2 2 2 2 3 2 3 2 3"},
		"ten":             {backends("10.0.0.", ten...), []int{26, 26, 26, 26, 26, 25, 25, 25, 25, 26}, "9 6 2 8 6 1 7 2 2 1 8 3 8 4 10 2 4 6 2 2 3 10 10 7 8 2 5 7 7 3 6 3"},
		"nine of ten":     {out(backends("10.0.0.", ten...), 3), []int{29, 29, 29, 0, 28, 28, 28, 28, 28, 29}, ""},
		"IPv6":            {backends("fd00::", 1, 1, 1), []int{86, 85, 85}, "1 3 3 3 3 2 2 1 3 3 2 2 1 3 2 2 2 1 3 2 1 3 1 1 2 2 2 2 3 1 1 2"},
	} {
		owners := Owners(test.backends, 256)
		if got := counts(owners, len(test.backends)); !slices.Equal(got, test.counts) {
			t.Errorf("%s: they own %v, not %v", name, got, test.counts)
		}
		var words []string
		for _, owner := range owners[:32] {
			words = append(words, fmt.Sprint(owner+1))
		}
		if got := strings.Join(words, " "); test.first32 != "" && got != test.first32 {
			t.Errorf("%s: the first slots are\n%s, not\n%s", name, got, test.first32)
		}
	}
}

// TestAllOwners has all 256 owners of three equal backends in one sum, and the backend of a
// client from end to end.
func TestAllOwners(t *testing.T) {
	owners := Owners(backends("10.0.0.", 1, 1, 1), 256)
	digits := ""
	for _, owner := range owners {
		digits += fmt.Sprint(owner + 1)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(digits))); got != "7ba215db2ef7e990d59c49024073fed20dbef0d234fd1f3888c47b830b42f1e1" {
		t.Errorf("the owners are others: %s", digits)
	}
	slot := Of(netip.MustParseAddr("198.51.100.7"), 32, 256)
	if slot != 242 || owners[slot] != 1 {
		t.Errorf("198.51.100.7 is slot %d, whose owner is 10.0.0.%d", slot, owners[slot]+1)
	}
}

// TestOutMovesItsOwn takes the fourth of ten backends out: its 26 slots move, and no other.
func TestOutMovesItsOwn(t *testing.T) {
	all := backends("10.0.0.", slices.Repeat([]int{1}, 10)...)
	before := addresses(all, Owners(all, 256))
	after := addresses(all, Owners(out(all, 3), 256))
	moved, needless, count := Moved(before, after)
	if moved != 26 || needless != 0 || count != 256 {
		t.Errorf("%d of %d slots move, %d needlessly", moved, count, needless)
	}
}

// addresses returns owners by their addresses.
func addresses(all []Backend, owners []int) []netip.AddrPort {
	list := make([]netip.AddrPort, len(owners))
	for slot, owner := range owners {
		list[slot] = all[owner].Address
	}
	return list
}

// TestMovedBetweenCounts compares owners of 16 slots with those of 32.
func TestMovedBetweenCounts(t *testing.T) {
	a, b := netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:80")
	before := slices.Concat(slices.Repeat([]netip.AddrPort{a}, 8), slices.Repeat([]netip.AddrPort{b}, 8))
	after := slices.Repeat([]netip.AddrPort{a, b}, 16)
	if moved, needless, count := Moved(before, after); moved != 16 || needless != 16 || count != 32 {
		t.Errorf("%d of %d slots move, %d needlessly", moved, count, needless)
	}
	after = slices.Repeat([]netip.AddrPort{a}, 16)
	if moved, needless, _ := Moved(before, after); moved != 8 || needless != 0 {
		t.Errorf("%d slots move, %d needlessly", moved, needless)
	}
}

// TestSamePool sends a client of two services on different ports to the same address: a port
// is in no key, unless one address has two.
func TestSamePool(t *testing.T) {
	http, https := backends("10.0.0.", 3, 2, 1), backends("10.0.0.", 3, 2, 1)
	for i := range http {
		http[i].Address = netip.AddrPortFrom(http[i].Address.Addr(), 80)
		https[i].Address = netip.AddrPortFrom(https[i].Address.Addr(), 443)
	}
	if !slices.Equal(Owners(http, 256), Owners(https, 256)) {
		t.Error("other owners by another port")
	}
	one := []Backend{{Address: netip.MustParseAddrPort("10.0.0.1:80"), Weight: 1}, {Address: netip.MustParseAddrPort("10.0.0.1:81"), Weight: 1}}
	if owners := Owners(one, 256); slices.Equal(owners, slices.Repeat(owners[:1], 256)) || !slices.Equal(counts(owners, 2), []int{128, 128}) {
		t.Errorf("two ports of one address own %v", counts(owners, 2))
	}
	names := namesOf(one)
	one[1].Weight = 0
	if alone := namesOf(one); names[0] != "10.0.0.1:80" || alone[0] != "10.0.0.1" {
		t.Errorf("the names are %v, and %v where one has no weight", names, alone)
	}
}

// TestNobodyLeft has no owners where every backend is out, or none has a weight.
func TestNobodyLeft(t *testing.T) {
	if owners := Owners(out(backends("10.0.0.", 1, 1), 0, 1), 256); owners != nil {
		t.Errorf("owners %v", owners)
	}
	if owners := Owners(backends("10.0.0.", 0, 0), 256); owners != nil {
		t.Errorf("owners %v", owners)
	}
}

// pools makes up backends that differ.
func pools() *rapid.Generator[[]Backend] {
	return rapid.Custom(func(t *rapid.T) []Backend {
		weight := rapid.SampledFrom([]*rapid.Generator[int]{rapid.Just(1), rapid.IntRange(0, 9), rapid.IntRange(0, 65535)}).Draw(t, "weights")
		low := rapid.SliceOfNDistinct(rapid.Uint16Range(1, 2000), 1, 40, rapid.ID).Draw(t, "addresses")
		var made []Backend
		for _, n := range low {
			made = append(made, Backend{
				Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n / 2 >> 8), byte(n / 2)}), 80+n%2),
				Weight:  weight.Draw(t, "weight"), Out: rapid.IntRange(0, 4).Draw(t, "out") == 0,
			})
		}
		return made
	})
}

// TestAnyPool tries what holds for every pool: in service all own their quota, which is
// within one slot of their share. Those that are out give their slots away, and move nobody
// else's. Neither the order of the backends nor a weight of 0 tells.
func TestAnyPool(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := pools().Draw(t, "backends")
		count := 16 << rapid.IntRange(0, 6).Draw(t, "slots")
		inService := slices.Clone(all)
		for i := range inService {
			inService[i].Out = false
		}
		base, owners := Owners(inService, count), Owners(all, count)
		if base == nil {
			return
		}
		mustOwnQuotas(t, inService, base)
		for slot, owner := range owners {
			switch {
			case all[owner].Out || all[owner].Weight == 0:
				t.Fatalf("slot %d belongs to %v", slot, all[owner])
			case owner != base[slot] && !all[base[slot]].Out:
				t.Fatalf("slot %d goes from %v, which is in service, to %v", slot, all[base[slot]], all[owner])
			}
		}
		places := rapid.Permutation(placesOf(all)).Draw(t, "order")
		var shuffled []Backend
		for _, place := range places {
			if all[place].Weight > 0 || rapid.Bool().Draw(t, "keep") {
				shuffled = append(shuffled, all[place])
			}
		}
		if again := Owners(shuffled, count); len(owners) != len(again) || owners != nil && !slices.Equal(addresses(all, owners), addresses(shuffled, again)) {
			t.Fatal("another order, or without those of weight 0, gives other owners")
		}
	})
}

// TestLikeSorted gives slots as by a list of all pairs, sorted by their cost.
func TestLikeSorted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := pools().Draw(t, "backends")
		for i := range all {
			all[i].Out = false
		}
		count := 16 << rapid.IntRange(0, 4).Draw(t, "slots")
		room, names := Quotas(all, count), namesOf(all)
		type pair struct {
			cost      uint64
			who, slot int
		}
		var pairs []pair
		for who, backend := range all {
			for slot := range count {
				if backend.Weight > 0 {
					pairs = append(pairs, pair{cost(keyOf(names[who]), slot, backend.Weight), who, slot})
				}
			}
		}
		slices.SortFunc(pairs, func(a, b pair) int {
			return cmp.Or(cmp.Compare(a.cost, b.cost), strings.Compare(names[a.who], names[b.who]), cmp.Compare(a.slot, b.slot))
		})
		want := map[int]int{}
		for _, pair := range pairs {
			if _, taken := want[pair.slot]; !taken && room[pair.who] > 0 {
				want[pair.slot] = pair.who
				room[pair.who]--
			}
		}
		for slot, owner := range Owners(all, count) {
			if owner != want[slot] {
				t.Fatalf("slot %d goes to %v, not to %v", slot, all[owner], all[want[slot]])
			}
		}
	})
}

// placesOf returns the places of backends.
func placesOf(all []Backend) []int {
	places := make([]int, len(all))
	for i := range places {
		places[i] = i
	}
	return places
}

// mustOwnQuotas fails unless each backend owns its quota, which is within one slot of its
// share.
func mustOwnQuotas(t *rapid.T, all []Backend, owners []int) {
	t.Helper()
	held, quotas := counts(owners, len(all)), Quotas(all, len(owners))
	sum := 0
	for _, backend := range all {
		sum += backend.Weight
	}
	for i, backend := range all {
		if held[i] != quotas[i] {
			t.Fatalf("%v owns %d slots, not %d", backend, held[i], quotas[i])
		}
		if off := held[i]*sum - len(owners)*backend.Weight; off >= sum || off <= -sum {
			t.Fatalf("%v owns %d of %d slots with %d of %d", backend, held[i], len(owners), backend.Weight, sum)
		}
	}
}

// TestAnyPlaces has a number for each backend with a weight, none twice, and those of all
// others as they are when one goes, but for those that had to give way to one another.
func TestAnyPlaces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := pools().Draw(t, "backends")
		places := Places(all, 1296)
		seen := map[int]bool{}
		for i, place := range places {
			if (place < 0) != (all[i].Weight == 0) || place >= 1296 || place >= 0 && seen[place] {
				t.Fatalf("%v has place %d of %v", all[i], place, places)
			}
			seen[place] = true
			all[i].Out = !all[i].Out
		}
		if !slices.Equal(places, Places(all, 1296)) {
			t.Fatal("one that is out has another place")
		}
	})
}

// TestSmallChangeMovesFew adds, takes away and weighs a backend of ten: at most 5 of 100
// clients of others move.
func TestSmallChangeMovesFew(t *testing.T) {
	ten, eleven := backends("10.0.0.", slices.Repeat([]int{1}, 10)...), backends("10.0.0.", slices.Repeat([]int{1}, 11)...)
	heavier := slices.Clone(ten)
	heavier[4].Weight = 2
	for name, change := range map[string][2][]Backend{
		"one more": {ten, eleven}, "one less": {eleven, ten}, "a weight": {ten, heavier},
	} {
		moved, needless, count := Moved(addresses(change[0], Owners(change[0], 1024)), addresses(change[1], Owners(change[1], 1024)))
		if 100*needless > 5*count || moved <= needless {
			t.Errorf("%s: %d of %d move, %d needlessly", name, moved, count, needless)
		}
	}
}

// BenchmarkOwners is the largest pool there is.
func BenchmarkOwners(b *testing.B) {
	var all []Backend
	for i := range Max / 4 {
		all = append(all, Backend{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80), Weight: 1 + i%3})
	}
	b.ReportAllocs()
	for b.Loop() {
		Owners(all, Max)
	}
}

// pool generates backends, some of which are backups, and some of either are out.
func pool(t *rapid.T) []Backend {
	all := backends("10.0.0.", rapid.SliceOfN(rapid.IntRange(0, 9), 1, 12).Draw(t, "weights")...)
	for i := range all {
		all[i].Backup = rapid.IntRange(0, 2).Draw(t, "backup") == 0
		all[i].Out = rapid.Bool().Draw(t, "out")
	}
	return all
}

// TestBackupsTakeWhatIsLeft has any primaries and backups out. What a primary owns while all of
// them are in service it keeps until it is out itself. Backups that are all out own nothing, and
// nothing is another's because of them.
func TestBackupsTakeWhatIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := pool(t)
		whole, alone := slices.Clone(all), Primaries(all)
		for i := range whole {
			whole[i].Out = whole[i].Backup
		}
		base, owners := Owners(whole, 256), Owners(all, 256)
		for slot, owner := range owners {
			if all[owner].Out || all[owner].Weight == 0 {
				t.Fatalf("slot %d is that of %+v", slot, all[owner])
			}
			if base != nil && !all[base[slot]].Out && owner != base[slot] {
				t.Fatalf("slot %d moves from %+v to %+v", slot, all[base[slot]], all[owner])
			}
		}
		served := slices.ContainsFunc(all, func(b Backend) bool { return b.Backup && !b.Out && b.Weight > 0 })
		if without := Owners(alone, 256); !served && !slices.Equal(without, owners) {
			t.Fatal("backups that are out move clients")
		}
	})
}

// TestBackupGoes has some of the backups out: what the others own while none of them is out
// they keep.
func TestBackupGoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := pool(t)
		joined := slices.Clone(all)
		for i := range joined {
			joined[i].Out = all[i].Out && !all[i].Backup
		}
		if !slices.ContainsFunc(all, func(b Backend) bool { return b.Backup && !b.Out && b.Weight > 0 }) {
			return // all of them are out: what they own goes to those that gave it away
		}
		before, after := Owners(joined, 256), Owners(all, 256)
		for slot := range before {
			if before[slot] != after[slot] && !all[before[slot]].Out {
				t.Fatalf("slot %d moves from %+v to %+v", slot, all[before[slot]], all[after[slot]])
			}
		}
	})
}
