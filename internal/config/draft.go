package config

import (
	"cmp"
	"net/netip"
	"strconv"
)

// draft is a service whose values are each checked alone, with the places the
// checks between them need.
type draft struct {
	table
	keys      places
	name      located[string]
	listen    []located[Listen]
	protocols []located[Protocol]
	snat      located[SNAT]
	backends  []located[Backend]
	algorithm located[Algorithm]
	slots     located[int] // 0 where it was not given, as is prefix
	prefix    located[int]
	iface     located[string]
	hairpin   []located[netip.Prefix]
	local     bool
	onRemove  located[OnRemove]
	forward   located[Forward]
	takeover  bool
	check     checkDraft
	minUp     located[int] // 0 where it was not given
	onDown    located[OnDown]
}

// readService reads the pairs below one [[service]] over the defaults.
func (s inspection) readService(t table) *draft {
	d := &draft{table: t, local: true}
	d.protocols = []located[Protocol]{{val: TCP}}
	d.algorithm.val = Random
	d.onRemove.val = Drain
	d.forward.val = Leave
	d.keys = readPairs(s.source, "a service", serviceKeys, t.pairs, d)
	return d
}

// unread tells whether a key has a value that was refused. at is where its value stands, and is
// not set then.
func (d *draft) unread(key string, at span) bool {
	_, given := d.keys.of(key)
	return given && at == span{}
}

// service is the draft without its places.
func (d *draft) service() Service {
	s := Service{
		Name:      d.name.val,
		Listen:    values(d.listen),
		Protocols: values(d.protocols),
		SNAT:      d.snat.val,
		Backends:  values(d.backends),
		Algorithm: d.algorithm.val,
		Interface: d.iface.val,
		Hairpin:   values(d.hairpin),
		Local:     d.local,
		OnRemove:  d.onRemove.val,
		Forward:   d.forward.val,
		Takeover:  d.takeover,
	}
	if d.checked() {
		s.Check, s.MinUp, s.OnDown = d.check.check(), cmp.Or(d.minUp.val, 1), cmp.Or(d.onDown.val, Keep)
	}
	if d.hashes() {
		s.Slots, s.SourcePrefix = d.slotCount(), cmp.Or(d.prefix.val, s.Backends[0].Addr.BitLen())
	}
	return s
}

// values drops the places; an empty list becomes nil, as if it were not there.
func values[T any](list []located[T]) []T {
	var all []T
	for _, l := range list {
		all = append(all, l.val)
	}
	return all
}

// setBackends reads a list whose items are addresses or tables.
func setBackends(d *draft, f field) {
	items := f.list()
	if f.value.kind == isList && len(items) == 0 {
		f.refuse(f.value, fault{cause: "a service without a backend answers nobody"})
	}
	if len(items) > MaxBackends {
		f.refuse(items[MaxBackends], fault{
			cause: "it is one more than the " + strconv.Itoa(MaxBackends) + " a service may have",
			fix:   "spread the backends over several services",
		})
		items = items[:MaxBackends]
	}
	f.name = "backend"
	for _, v := range items {
		if v.kind == isTable {
			d.backends = append(d.backends, readBackend(f, v)...)
			continue
		}
		d.backends = append(d.backends, many(f, []value{v}, parseBackend)...)
	}
}

// readBackend reads { address = ..., weight = ..., drain = ..., backup = ... }; there is no
// backend in it when its address is missing or wrong.
func readBackend(f field, v value) []located[Backend] {
	b := backendDraft{weight: 1}
	keys := readPairs(f.source, "a backend", backendKeys, v.pairs, &b)
	if _, ok := keys.of("address"); !ok {
		f.source.refuse(v.at, `write { address = "10.0.0.1:80", weight = 1 }`, "cannot use backend: it has no address")
	}
	if !b.address.val.Addr.IsValid() {
		return nil
	}
	b.address.val.Weight, b.address.val.Drain, b.address.val.Backup = b.weight, b.drain, b.backup
	return []located[Backend]{b.address}
}

// setWeight reads a whole number from 0 to MaxWeight.
func setWeight(b *backendDraft, f field) {
	if f.value.kind == isFloat {
		f.refuse(f.value, fault{"a weight is a whole number", "write weights whose ratio is the one you want: 3 and 2 for 1.5 and 1"})
		return
	}
	if !f.has(f.value, isInteger) {
		return
	}
	n := f.whole()
	if n < 0 || n > MaxWeight {
		f.refuse(f.value, fault{"a weight is 0 to " + strconv.Itoa(MaxWeight), "write a smaller ratio, such as weight = 1; 0 drains the backend"})
		return
	}
	b.weight = n
}
