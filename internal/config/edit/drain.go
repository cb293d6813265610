package edit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"natspread/internal/config"
	"natspread/internal/config/source"
	"natspread/internal/configfiles"
)

// Edited is a backend whose drain was edited.
type Edited struct {
	Service string
	Backend config.Backend // as it was before
}

// SetDrain returns the files of a config in which a backend has drain = true, or has it no
// more, and all else is as it was, to the byte: comments, layout, order, its weight. The
// backend is named as the file does, or by its address alone where that is enough; without a
// service's name it is every backend at that address, in all services. A backend of a pool is
// that of all services with the pool. What was edited is returned too. A backend that is as it
// should be already stays as it is. One that is drained by weight = 0, as natspread 0.1 wrote it,
// is drained no more with the weight that weightOf returns. Files that do not parse are refused
// with the error of ParseSet.
func SetDrain(files configfiles.Set, service, backend string, drain bool, weightOf func(service string, b config.Backend) int) (configfiles.Set, []Edited, error) {
	wanted, err := config.ParseSet(files)
	if err != nil {
		return nil, nil, err
	}
	places, err := FindBackends(wanted, service, backend)
	if err != nil {
		return nil, nil, err
	}
	d := newDocument(files)
	items := d.items(wanted)
	var edited []Edited
	var all []source.Replacement
	written := map[source.Span]config.Backend{} // what each item is after the edit
	for _, place := range sharing(items, places) {
		service := wanted.Services[place.Service]
		before := service.Backends[place.Backend]
		edited = append(edited, Edited{service.Name, before})
		item := items[place.Service][place.Backend]
		after, done := written[item.At]
		if !done {
			after = before
			after.Drain = drain && (before.Drain || before.Weight != 0)
			if !drain && before.Weight == 0 {
				after.Weight = weightOf(service.Name, before)
			}
			written[item.At] = after
			all = append(all, d.write(item, before, after)...)
		}
		service.Backends[place.Backend] = after
	}
	now := slices.Clone(files)
	for i, text := range d.Replace(all...) {
		now[i].Text = text
	}
	// The edited text is parsed and compared: nothing but the drain may have changed.
	after, err := config.ParseSet(now)
	if err != nil {
		return nil, nil, err
	}
	if !wanted.Equivalent(after) {
		return nil, nil, fmt.Errorf("cannot edit the config: write drain for %s by hand", backend)
	}
	return now, edited, nil
}

// sharing returns places, in order, with those of the same backends in the other services that
// have them from the same pool.
func sharing(items [][]source.Value, places []BackendPlace) []BackendPlace {
	meant := map[BackendPlace]bool{}
	edited := map[source.Span]bool{}
	for _, place := range places {
		edited[items[place.Service][place.Backend].At] = true
	}
	for i, backends := range items {
		for j, item := range backends {
			if edited[item.At] {
				meant[BackendPlace{Service: i, Backend: j}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(meant), func(a, b BackendPlace) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Backend, b.Backend))
	})
}

// write returns what changes of a backend in the text.
func (d document) write(item source.Value, before, after config.Backend) []source.Replacement {
	var all []source.Replacement
	switch {
	case before.Drain == after.Drain:
	case item.Kind == source.String:
		return []source.Replacement{{At: item.At, With: "{ address = " + d.Typed(item.At) + ", drain = true }"}}
	default:
		all = writeDrain(item, after.Drain)
	}
	for _, p := range item.Pairs {
		if p.Name == "weight" && before.Weight != after.Weight {
			all = append(all, source.Replacement{At: p.Value.At, With: strconv.Itoa(after.Weight)})
		}
	}
	return all
}

// writeDrain writes drain = true into a backend that is a table, or takes drain out of it.
func writeDrain(item source.Value, drain bool) []source.Replacement {
	last := len(item.Pairs) - 1
	at := slices.IndexFunc(item.Pairs, func(p source.Pair) bool { return p.Name == "drain" })
	switch {
	case drain && at < 0:
		end := item.Pairs[last].Value.At.End
		return []source.Replacement{{At: source.Span{Start: end, End: end}, With: ", drain = true"}}
	case drain:
		return []source.Replacement{{At: item.Pairs[at].Value.At, With: "true"}}
	case at < 0:
		return nil
	case at > 0: // with the comma before it
		return []source.Replacement{{At: source.Span{Start: item.Pairs[at-1].Value.At.End, End: item.Pairs[at].Value.At.End}}}
	}
	return []source.Replacement{{At: source.Span{Start: item.Pairs[0].At.Start, End: item.Pairs[1].At.Start}}}
}
