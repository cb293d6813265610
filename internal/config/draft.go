package config

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"natspread/internal/config/endpoint"
	"natspread/internal/config/field"
	"natspread/internal/config/meant"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// draft is a service whose values are each checked alone, with the places the
// checks between them need.
type draft struct {
	source.Table
	half      bool // it is one family's part of a service of both
	six       bool // with half: that of IPv6
	keys      field.Places
	name      field.Located[string]
	listen    []field.Located[Listen]
	ports     []endpoint.Pair // none where the listen addresses have theirs
	protocols []field.Located[Protocol]
	snat      field.Located[SNAT]
	sources   []field.Located[Sources] // with mode Address: those of snat
	snatPorts field.Located[SourcePorts]
	backends  []field.Located[Backend]
	portKeys  map[source.Span]bool  // backends whose port is a key of its own
	pool      field.Located[string] // "" where the backends are its own
	algorithm field.Located[Algorithm]
	slots     field.Located[int] // 0 where it was not given, as is prefix
	prefix    field.Located[int]
	links     []field.Located[string]
	hairpin   []field.Located[netip.Prefix]
	gate      gateDraft
	local     bool
	onRemove  field.Located[OnRemove]
	forward   field.Located[Forward]
	clampMSS  field.Located[ClampMSS]
	takeover  bool
	check     checkDraft
	minUp     field.Located[int] // 0 where it was not given
	onDown    field.Located[OnDown]
}

// readService reads the pairs below one [[service]] over the defaults.
func (s inspection) readService(t source.Table, defaults *draft) *draft {
	d := &draft{Table: t, local: true}
	d.protocols = []field.Located[Protocol]{{Val: TCP}}
	d.sources, d.snatPorts = defaults.sources, defaults.snatPorts
	d.snat, d.algorithm, d.onRemove, d.forward = defaults.snat, defaults.algorithm, defaults.onRemove, defaults.forward
	d.keys = field.ReadPairs(s.Source, "a service", serviceKeys, t.Pairs, meantKeys.OfService, d)
	if _, own := d.keys.Of("clamp_mss"); !own && d.hasTCP() {
		d.clampMSS = defaults.clampMSS
	}
	d.inherit(defaultKeys, defaults)
	if d.maps() {
		d.mapPorts()
	}
	return d
}

// inherit adds the places of keys that the service has from another table.
func (d *draft) inherit(keys []field.Key[draft], from *draft) {
	for _, key := range keys {
		if at, given := from.keys.Of(key.Name); given {
			d.keys = d.keys.With(key.Name, at)
		}
	}
}

// unread tells whether a key has a value that was refused. at is where its value stands, and is
// not set then.
func (d *draft) unread(key string, at source.Span) bool {
	_, given := d.keys.Of(key)
	return given && at == source.Span{}
}

// service is the draft without its places.
func (d *draft) service() Service {
	s := Service{
		Name:      d.name.Val,
		Listen:    values(d.listen),
		Protocols: values(d.protocols),
		SNAT:      d.snat.Val,
		SNATPorts: KeepPorts,
		Backends:  values(d.backends),
		Algorithm: d.algorithm.Val,
		Hairpin:   values(d.hairpin),
		Local:     d.local,
		OnRemove:  d.onRemove.Val,
		Forward:   d.forward.Val,
		ClampMSS:  d.clampMSS.Val,
		Takeover:  d.takeover,

		Audience: d.audience(),
	}
	d.gate.fill(&s)
	if d.rewrites() {
		s.SNATPorts = d.snatPorts.Val
	}
	if d.half && d.six {
		s.Name += sixth
	}
	if d.checked() {
		s.Check, s.MinUp, s.OnDown = d.check.check(), cmp.Or(d.minUp.Val, 1), cmp.Or(d.onDown.Val, Keep)
	}
	if d.hashes() {
		s.Slots, s.SourcePrefix = d.slotCount(), cmp.Or(d.prefix.Val, s.Backends[0].Addr.BitLen())
	}
	return s
}

// values drops the places; an empty list becomes nil, as if it were not there.
func values[T any](list []field.Located[T]) []T {
	var all []T
	for _, l := range list {
		all = append(all, l.Val)
	}
	return all
}

// setBackends reads a list whose items are addresses or tables.
func setBackends(d *draft, f field.Field) {
	items := []source.Value{f.Value}
	if several := strings.ContainsFunc(f.Value.Text, value.Separates); several || f.Value.Kind != source.String && f.Value.Kind != source.InlineTable {
		items = f.List()
	}
	if f.Value.Kind == source.List && len(f.Value.Items) == 0 {
		f.Refuse(f.Value, value.Fault{Cause: "a service without a backend answers nobody"})
	}
	if len(items) > MaxBackends {
		f.Refuse(items[MaxBackends], value.Fault{
			Cause: "it is one more than the " + strconv.Itoa(MaxBackends) + " a service may have",
			Fix:   "natspread can't take more: spread the backends over several services",
		})
		items = items[:MaxBackends]
	}
	f.Name = "backend"
	asked := sync.OnceValue(d.asked) // only needed where a backend has several ports
	parse := func(text string) (Backend, *value.Fault) {
		b, why := ParseBackend(text)
		if why != nil && why.Cause == endpoint.SeveralPorts && !slices.Equal(asked(), ordered(meantPorts(text))) {
			why.Fix = "natspread can't send clients to several ports: write a service for each"
		}
		if why != nil {
			why.Fix = cmp.Or(d.ownFix(text), why.Fix)
		}
		return b, why
	}
	weights := value.ReadWeights(items, MaxWeight)
	for _, v := range items {
		if v.Kind == source.InlineTable {
			d.backends = append(d.backends, d.readBackend(f, v, weights, parse)...)
			continue
		}
		d.backends = append(d.backends, field.Many(f, []source.Value{v}, parse)...)
	}
}

// asked returns the ports that clients ask for, as they were written: the listen addresses need not
// have been read yet. A backend that has just these needs none.
func (d *draft) asked() []string {
	var asked []string
	for _, item := range d.listenItems() {
		asked = append(asked, meantPorts(item.Text)...)
	}
	return ordered(asked)
}

// listenItems returns the listen addresses as they were written.
func (d *draft) listenItems() []source.Value {
	if listen := d.Value("listen"); listen.Kind != source.List {
		return []source.Value{listen}
	}
	return d.Value("listen").Items
}

// meantPorts returns the ports that were likely meant behind an address.
func meantPorts(text string) []string {
	e, _ := value.SplitEndpoint(text)
	return value.MeantPorts(e.Ports)
}

// ordered returns each of some ports once, in order.
func ordered(ports []string) []string {
	slices.Sort(ports)
	return slices.Compact(ports)
}

// readBackend reads { address = ..., port = ..., weight = ..., drain = ..., backup = ... }; there is no
// backend in it when its address is missing or wrong.
func (d *draft) readBackend(f field.Field, v source.Value, weights map[string]string, parse func(string) (Backend, *value.Fault)) []field.Located[Backend] {
	b := backendDraft{weight: 1, weights: weights, parse: parse}
	keys := field.ReadPairs(f.Source, "a backend", backendKeys, v.Pairs, meant.OfBackend, &b)
	if _, ok := keys.Of("address"); !ok {
		f.Source.Refuse(v.At, `add address = "10.0.0.1:80"`, "cannot use backend: it has no address")
	}
	if !b.address.Val.Addr.IsValid() {
		return nil
	}
	if b.takePort(f); b.port.At != (source.Span{}) {
		if d.portKeys == nil {
			d.portKeys = map[source.Span]bool{}
		}
		d.portKeys[b.address.At] = true
	}
	b.address.Val.Weight, b.address.Val.Drain, b.address.Val.Backup = b.weight, b.drain, b.backup
	return []field.Located[Backend]{b.address}
}

// ParseBackend reads an address, and the port or the range of ports that may follow.
func ParseBackend(text string) (Backend, *value.Fault) {
	at, why := endpoint.ParseBackend(text)
	return Backend{Addr: at.Addr, Weight: 1}.withPorts(at.Ports), why
}
