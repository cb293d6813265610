package config

import (
	"cmp"
	"fmt"
	"strconv"

	"natspread/internal/config/field"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
	"natspread/internal/slots"
)

// SlotBackends returns the backends as package slots takes them, in the order of the file.
func (s Service) SlotBackends() []slots.Backend {
	all := make([]slots.Backend, len(s.Backends))
	serves := s.serving()
	for i, b := range s.Backends {
		all[i] = slots.Backend{Address: b.AddrPort(), Weight: b.Weight, Out: !serves(b), Backup: b.Backup}
	}
	return all
}

// Shares returns what each backend gets of new connections, 0 to 1, in the order of the file:
// its weight over the sum of all, or the slots that it owns, as Owned returns them, over all.
func (s Service) Shares(owned []int) []float64 {
	shares := make([]float64, len(s.Backends))
	sum := 0
	for _, b := range s.Active() {
		sum += b.Weight
	}
	serves := s.serving()
	for i, b := range s.Backends {
		switch {
		case s.Slots != 0:
			shares[i] = float64(owned[i]) / float64(s.Slots)
		case serves(b):
			shares[i] = float64(b.Weight) / float64(sum)
		}
	}
	return shares
}

// Owned returns how many slots each backend owns, in the order of the file.
func (s Service) Owned() []int {
	owned := make([]int, len(s.Backends))
	for _, owner := range s.Owners() {
		owned[owner]++
	}
	return owned
}

// Owners returns which backend owns each slot, by its place in Backends; none where all are
// drained, or where the algorithm has no slots.
func (s Service) Owners() []int {
	if s.Slots == 0 {
		return nil
	}
	return slots.Owners(s.SlotBackends(), s.Slots)
}

// setSlots reads a power of two.
func setSlots(d *draft, f field.Field) {
	if !f.Has(f.Value, source.Integer) {
		return
	}
	n := f.Whole()
	if !slots.Valid(n) {
		near := slots.Min
		for near < min(n, slots.Max) {
			near *= 2
		}
		f.Refuse(f.Value, value.Fault{Cause: fmt.Sprintf("the number of slots is a power of two from %d to %d", slots.Min, slots.Max), Fix: fmt.Sprintf("write slots = %d", near)})
		return
	}
	d.slots = field.Located[int]{Val: n, At: f.Value.At}
}

// setSourcePrefix reads a whole number. Its bounds depend on the family: see checkSlots.
func setSourcePrefix(d *draft, f field.Field) {
	if f.Has(f.Value, source.Integer) {
		d.prefix = field.Located[int]{Val: f.Whole(), At: f.Value.At}
	}
}

// hashes tells whether a client's slot decides which backend it gets.
func (d *draft) hashes() bool { return d.algorithm.Val == Source || d.algorithm.Val == Flow }

// slotCount returns how many slots the service has.
func (d *draft) slotCount() int {
	return cmp.Or(d.slots.Val, slots.Default)
}

// checkSlots files what the slots of clients cannot be: those of an algorithm without any, a
// prefix that is none, and too few for the backends.
func (s inspection) checkSlots(d *draft) {
	unread := d.unread("algorithm", d.algorithm.At)
	if at, given := d.keys.Of("slots"); given && !unread && !d.hashes() {
		s.Refuse(at, `take slots out, or write algorithm = "source"`,
			"cannot use slots %s: only the algorithms source and flow have slots", s.Show(at))
	}
	if at, given := d.keys.Of("source_prefix"); given && !unread && d.algorithm.Val != Source {
		s.Refuse(at, `take source_prefix out, or write algorithm = "source"`,
			"cannot use source_prefix %s: only the algorithm source has one", s.Show(at))
	}
	if d.hashes() {
		s.checkSourcePrefix(d)
		s.checkEnoughSlots(d)
	}
}

// checkSourcePrefix files a prefix out of the bounds of the service's family. A shorter one
// would put half the world's clients into a few slots.
func (s inspection) checkSourcePrefix(d *draft) {
	six, _, known := d.family()
	if !known || d.prefix.At == (source.Span{}) {
		return
	}
	least, most := 8, 32
	if six {
		least, most = 16, 128
	}
	if n := d.prefix.Val; n < least || n > most {
		s.Refuse(d.prefix.At, "write source_prefix = "+strconv.Itoa(min(max(n, least), most)),
			"cannot use source_prefix %s: for %s it is %d to %d", s.Show(d.prefix.At), familyName(six), least, most)
	}
}

// checkEnoughSlots files too many backends for the slots, and backends that would own none:
// those that are no backups among themselves, and all while the backups have joined.
func (s inspection) checkEnoughSlots(d *draft) {
	pool := Service{Backends: values(d.backends)}.SlotBackends()
	count := d.slotCount()
	enough, known := slots.Enough(pool)
	if n := slots.Listed(pool); n > count/slots.PerBackend {
		fix := "write slots = " + strconv.Itoa(enough)
		switch {
		case n > slots.Max/slots.PerBackend:
			fix = `write algorithm = "random", or spread the backends over several services`
		case !known:
			fix = "write slots = " + strconv.Itoa(slots.Max)
		}
		s.Refuse(cmp.Or(d.slots.At, d.algorithm.At), fix, "cannot use %d slots for %d backends: there are to be %d for each", count, n, slots.PerBackend)
		return
	}
	for _, i := range slots.OwnNone(pool, count) {
		fix := "write slots = " + strconv.Itoa(enough)
		if !known {
			fix = fmt.Sprintf("write slots = %d and weight = %d, or more: weights that are closer to each other", slots.Max, slots.LeastWeight(pool))
		}
		at := d.backends[i].At
		s.Refuse(at, fix, "cannot use backend %s: with its weight of %d it gets none of %d slots", s.Show(at), pool[i].Weight, count)
	}
}
