package config

import (
	"maps"
	"slices"
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
	"natspread/internal/suggest"
)

// The headers of what is read for all services.
const (
	defaultsHeader = "defaults"
	poolPrefix     = "pool." // before the name of a pool
)

// pools are the drafts of [pool.NAME] by their names. Of a service they have backends, check,
// min_up and on_down.
type pools map[string]*draft

// shared is what services have in common.
type shared struct {
	defaults *draft // of [defaults]: what defaultKeys says, for services without their own
	pools    pools
}

// isShared tells whether a table is read for all services.
func isShared(t source.Table) bool {
	return t.Name == defaultsHeader || strings.HasPrefix(t.Name, poolPrefix)
}

// readShared reads the tables that are for all services, wherever they stand.
func (s inspection) readShared(tables []source.Table) shared {
	common := shared{&draft{}, pools{}}
	common.defaults.snatPorts.Val = KeepPorts
	common.defaults.algorithm.Val, common.defaults.onRemove.Val, common.defaults.forward.Val = Random, Drain, Leave
	for _, t := range tables {
		switch {
		case !isShared(t):
		case t.Name != defaultsHeader:
			s.readPool(t, common.pools)
		default:
			s.readDefaults(t, common.defaults)
		}
	}
	return common
}

// readDefaults reads the pairs below [defaults].
func (s inspection) readDefaults(t source.Table, into *draft) {
	switch {
	case t.List:
		s.Refuse(t.At, "write [defaults]", "cannot use table %q: there is only one [defaults], so its brackets are single", t.Name)
	case into.keys != nil:
		s.Refuse(t.At, "take it out, and write its keys below the first one", "cannot use table %q: line %d has it already", t.Name, s.Line(into.At)).Related = s.Line(into.At)
		return
	}
	into.Table = t
	into.keys = field.ReadPairs(s.Source, "[defaults]", defaultKeys, t.Pairs, meantOf(defaultKeys, "it is for"), into)
}

// meantOf returns what meantKeys.OfService does for a table that has some of a service's keys. The
// others belong into each service of which something is true.
func meantOf(keys []field.Key[draft], of string) field.Meant {
	return func(s *source.Source, pairs []source.Pair, p source.Pair) (string, string) {
		key, fix := meantKeys.OfService(s, pairs, p)
		if hasKey(serviceKeys, p.Name) {
			return "", "take it out, and write it into each service that " + of
		}
		if !hasKey(keys, key) {
			return "", ""
		}
		return key, fix
	}
}

// readPool reads the pairs below one [pool.NAME].
func (s inspection) readPool(t source.Table, known pools) {
	name := strings.TrimPrefix(t.Name, poolPrefix)
	if owner, isCheck := strings.CutSuffix(name, ".check"); isCheck {
		s.Refuse(t.At, "take it out, or write ["+poolPrefix+owner+"] above it", "cannot use table %q: no pool of that name stands above it", source.FirstBytes(t.Name))
		return
	}
	if why := poolFault(name, t.List); why != nil {
		s.Refuse(t.At, why.Fix, "cannot use table %q: %s", source.FirstBytes(t.Name), why.Cause)
	}
	if first, twice := known[name]; twice {
		s.Refuse(t.At, "write ["+poolPrefix+freeName(name, known)+"]", "cannot use table %q: line %d has it already", source.FirstBytes(t.Name), s.Line(first.At)).Related = s.Line(first.At)
		return
	}
	p := &draft{Table: t}
	p.keys = field.ReadPairs(s.Source, "a pool", poolKeys, t.Pairs, meantOf(poolKeys, "has the pool"), p)
	if _, given := p.keys.Of("backends"); !given && !t.Broken {
		s.Refuse(t.At, "add "+exampleOf("backends"), "cannot use pool %q: it has no backends", source.FirstBytes(name))
	}
	known[name] = p
}

// freeName returns a name like another one that no pool has.
func freeName(name string, known pools) string {
	for n := 2; ; n++ {
		if other := value.NumberedName(name, n); known[other] == nil {
			return other
		}
	}
}

// poolFault says what is wrong with the header of a pool.
func poolFault(name string, list bool) *value.Fault {
	_, why := value.ParseName(name)
	if why == nil && list {
		return &value.Fault{Cause: "a pool has one table, so its brackets are single", Fix: "write [" + poolPrefix + name + "]"}
	}
	if why != nil {
		why.Fix = "write [" + poolPrefix + value.LikelyName(name) + "]"
	}
	return why
}

// usePool gives a service that names a pool what is the pool's. A check, min_up or on_down of the
// service's own goes before the pool's.
func (s inspection) usePool(d *draft, known pools) {
	at, given := d.keys.Of("pool")
	if !given {
		return
	}
	if own, given := d.keys.Of("backends"); given {
		s.Refuse(at, "take pool out, or backends", "cannot use pool %s: the service has backends of its own, on line %d", s.Show(at), s.Line(own)).Related = s.Line(own)
		return
	}
	d.keys = d.keys.With("backends", at) // or it would lack them, too
	p, found := known[d.pool.Val]
	if !found {
		s.refusePool(d, known)
		return
	}
	d.backends, d.portKeys = p.backends, p.portKeys
	if _, own := d.keys.Of("check"); !own {
		d.check = p.check
	}
	if _, own := d.keys.Of("min_up"); !own {
		d.minUp = p.minUp
	}
	if _, own := d.keys.Of("on_down"); !own {
		d.onDown = p.onDown
	}
	d.inherit(poolKeys, p)
}

// refusePool files the name of a pool that there is not. One that is no name was filed before.
func (s inspection) refusePool(d *draft, known pools) {
	if d.pool.Val == "" {
		return
	}
	names := slices.Sorted(maps.Keys(known))
	fix := "take pool out, and write " + exampleOf("backends")
	if guess := suggest.Word(d.pool.Val, names); guess != "" {
		fix = `did you mean "` + guess + `"?`
	} else if len(names) > 0 {
		fix = "write one of " + strings.Join(source.QuoteAll(names[:min(len(names), 10)]), ", ")
	}
	s.Refuse(d.pool.At, fix, "cannot use pool %s: there is no [pool.%s]", s.Show(d.pool.At), d.pool.Val)
}
