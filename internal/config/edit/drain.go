package edit

import (
	"fmt"
	"slices"
	"strconv"

	"natspread/internal/config"
	"natspread/internal/config/source"
)

// Edited is a backend whose drain was edited.
type Edited struct {
	Service string
	Backend config.Backend // as it was before
}

// SetDrain returns the text of a config in which a backend has drain = true, or has it no
// more, and all else is as it was, to the byte: comments, layout, order, its weight. The
// backend is named as the file does, or by its address alone where that is enough; without a
// service's name it is every backend at that address, in all services. What was edited is
// returned too. A backend that is as it should be already stays as it is. One that is drained
// by weight = 0, as natspread 0.1 wrote it, is drained no more with the weight that weightOf
// returns. A text that does not parse is refused with the error of Parse.
//
// Services are edited from the last to the first, so that places in the text before an edit
// stay true.
func SetDrain(name string, text []byte, service, backend string, drain bool, weightOf func(service string, b config.Backend) int) ([]byte, []Edited, error) {
	wanted, err := config.Parse(name, text)
	if err != nil {
		return nil, nil, err
	}
	places, err := config.FindBackends(wanted, service, backend)
	if err != nil {
		return nil, nil, err
	}
	var edited []Edited
	for _, place := range slices.Backward(places) {
		found := &wanted.Services[place.Service].Backends[place.Backend]
		before := Edited{wanted.Services[place.Service].Name, *found}
		edited = append(edited, before)
		found.Drain = drain && (found.Drain || found.Weight != 0)
		if !drain && found.Weight == 0 {
			found.Weight = weightOf(before.Service, *found)
		}
		text = newDocument(name, text).write(place, before.Backend, *found)
	}
	// What was written is not believed but read: nothing else may have changed.
	after, err := config.Parse(name, text)
	if err != nil {
		return nil, nil, err
	}
	if !wanted.Equivalent(after) {
		return nil, nil, fmt.Errorf("cannot edit %s: write drain for %s by hand", name, backend)
	}
	slices.Reverse(edited)
	return text, edited, nil
}

// write writes what changed of a backend at its place in a text that parses.
func (s document) write(place config.BackendPlace, before, after config.Backend) []byte {
	item := s.backend(place)
	text := []byte(s.Text)
	switch {
	case before.Drain == after.Drain:
	case item.Kind == source.String:
		return s.Replace(item.At, "{ address = "+s.Text[item.At.Start:item.At.End]+", drain = true }")
	default:
		text = s.writeDrain(item, after.Drain)
	}
	if before.Weight == after.Weight {
		return text
	}
	edited := newDocument(s.Name, text)
	for _, p := range edited.backend(place).Pairs {
		if p.Name == "weight" {
			text = edited.Replace(p.Value.At, strconv.Itoa(after.Weight))
		}
	}
	return text
}

// backend returns the value at a backend's place.
func (s document) backend(place config.BackendPlace) source.Value {
	return s.service(place.Service).Value("backends").Items[place.Backend]
}

// writeDrain writes drain = true into a backend that is a table, or takes drain out of it.
func (s document) writeDrain(item source.Value, drain bool) []byte {
	last := len(item.Pairs) - 1
	at := slices.IndexFunc(item.Pairs, func(p source.Pair) bool { return p.Name == "drain" })
	switch {
	case drain && at < 0:
		end := item.Pairs[last].Value.At.End
		return s.Replace(source.Span{Start: end, End: end}, ", drain = true")
	case drain:
		return s.Replace(item.Pairs[at].Value.At, "true")
	case at < 0:
		return []byte(s.Text)
	case at > 0: // with the comma before it
		return s.Replace(source.Span{Start: item.Pairs[at-1].Value.At.End, End: item.Pairs[at].Value.At.End}, "")
	}
	return s.Replace(source.Span{Start: item.Pairs[0].At.Start, End: item.Pairs[1].At.Start}, "")
}
