package field

import (
	"strings"

	"natspread/internal/config/source"
	"natspread/internal/suggest"
)

// Key is one key a table may have, and how its value gets into a T.
type Key[T any] struct {
	Name    string
	Example string // the line as an administrator would write it
	Set     func(*T, Field)
}

// Find returns the key of that name.
func Find[T any](keys []Key[T], name string) (Key[T], bool) {
	for _, k := range keys {
		if k.Name == name {
			return k, true
		}
	}
	return Key[T]{}, false
}

// Names lists what keys there are.
func Names[T any](keys []Key[T]) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.Name
	}
	return all
}

// Places is where the values of a table's keys stand, good or not. A table has a
// handful of known keys, so a list is found through faster than a map.
type Places []place

// place is where the value of a key stands.
type place struct {
	Name string
	At   source.Span
}

// Of returns the place of a key's value, if the table has the key.
func (p Places) Of(name string) (at source.Span, ok bool) {
	for _, k := range p {
		if k.Name == name {
			return k.At, true
		}
	}
	return source.Span{}, false
}

// With adds the place of a key, unless it has one.
func (p Places) With(name string, at source.Span) Places {
	if _, ok := p.Of(name); ok {
		return p
	}
	return append(p, place{name, at})
}

// ReadPairs fills into from the pairs of a table, called what in messages, and
// returns where each key's value stands, under the name it was likely meant to
// have: a misspelt key is one error, not also a missing key. Keys are matched by
// the very letter.
func ReadPairs[T any](s *source.Source, what string, keys []Key[T], pairs []source.Pair, into *T) Places {
	seen := make(Places, 0, min(len(pairs), len(keys)))
	var misspelt []source.Pair // under the names they were meant to have
	for _, p := range pairs {
		k, known := Find(keys, p.Name)
		first, twice := seen.Of(p.Name)
		switch {
		case !known:
			p.Name = refuseKey(s, what, Names(keys), p)
			misspelt = append(misspelt, p)
		case twice:
			s.Refuse(p.At, "keep one of the two lines", "cannot use key %q: %s has it already on line %d",
				p.Name, what, s.Line(first)).Related = s.Line(first)
		default:
			seen = seen.With(p.Name, p.Value.At)
			k.Set(into, Field{Source: s, Name: k.Name, example: k.Example, Value: p.Value})
		}
	}
	for _, p := range misspelt {
		seen = seen.With(p.Name, p.Value.At)
	}
	return seen
}

// refuseKey files a key that a table does not have, and returns the one it was
// likely meant to be, or "".
func refuseKey(s *source.Source, what string, known []string, p source.Pair) string {
	fix := "use one of " + strings.Join(known, ", ")
	guess := suggest.Word(p.Name, known)
	if guess != "" {
		fix = "did you mean " + guess + "?"
		if strings.EqualFold(guess, p.Name) {
			fix = "write it in lower case: " + guess
		}
	}
	if of, name, dotted := strings.Cut(p.Name, "."); dotted && of == "check" {
		fix = "write check = { " + name + " = " + s.Show(p.Value.At) + " }"
	}
	s.Refuse(p.At, fix, "cannot use key %q: %s has no such key", source.FirstBytes(p.Name), what)
	return guess
}
