package config

import (
	"strings"

	"natspread/internal/suggest"
)

// key is one key a table may have, and how its value gets into a T.
type key[T any] struct {
	name    string
	example string // the line as an administrator would write it
	set     func(*T, field)
}

// find returns the key of that name.
func find[T any](keys []key[T], name string) (key[T], bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key[T]{}, false
}

// names lists what keys there are.
func names[T any](keys []key[T]) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.name
	}
	return all
}

// places is where the values of a table's keys stand, good or not. A table has a
// handful of known keys, so a list is found through faster than a map.
type places []place

// place is where the value of a key stands.
type place struct {
	name string
	at   span
}

// of returns the place of a key's value, if the table has the key.
func (p places) of(name string) (at span, ok bool) {
	for _, k := range p {
		if k.name == name {
			return k.at, true
		}
	}
	return span{}, false
}

// with adds the place of a key, unless it has one.
func (p places) with(name string, at span) places {
	if _, ok := p.of(name); ok {
		return p
	}
	return append(p, place{name, at})
}

// readPairs fills into from the pairs of a table, called what in messages, and
// returns where each key's value stands, under the name it was likely meant to
// have: a misspelt key is one error, not also a missing key. Keys are matched by
// the very letter.
func readPairs[T any](s *source, what string, keys []key[T], pairs []pair, into *T) places {
	seen := make(places, 0, min(len(pairs), len(keys)))
	var misspelt []pair // under the names they were meant to have
	for _, p := range pairs {
		k, known := find(keys, p.name)
		first, twice := seen.of(p.name)
		switch {
		case !known:
			p.name = s.refuseKey(what, names(keys), p)
			misspelt = append(misspelt, p)
		case twice:
			s.refuse(p.at, "keep one of the two lines", "cannot use key %q: %s has it already on line %d",
				p.name, what, s.line(first)).Related = s.line(first)
		default:
			seen = seen.with(p.name, p.value.at)
			k.set(into, field{source: s, name: k.name, example: k.example, value: p.value})
		}
	}
	for _, p := range misspelt {
		seen = seen.with(p.name, p.value.at)
	}
	return seen
}

// refuseKey files a key that a table does not have, and returns the one it was
// likely meant to be, or "".
func (s *source) refuseKey(what string, known []string, p pair) string {
	fix := "use one of " + strings.Join(known, ", ")
	guess := suggest.Word(p.name, known)
	if guess != "" {
		fix = "did you mean " + guess + "?"
		if strings.EqualFold(guess, p.name) {
			fix = "write it in lower case: " + guess
		}
	}
	if of, name, dotted := strings.Cut(p.name, "."); dotted && of == "check" {
		fix = "write check = { " + name + " = " + s.show(p.value.at) + " }"
	}
	s.refuse(p.at, fix, "cannot use key %q: %s has no such key", firstBytes(p.name), what)
	return guess
}
