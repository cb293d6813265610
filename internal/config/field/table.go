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
	Lists   bool   // its value may be a list
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

// Meant returns the key that was meant by one of some pairs that the table does not have, and the
// fix; "" for each that is not known.
type Meant func(s *source.Source, pairs []source.Pair, p source.Pair) (key, fix string)

// mostMeant is how many keys of a table that it does not have are looked at as to what they mean
// beside its other keys. With more than that it is no table of ours.
const mostMeant = 100

// ReadPairs fills into from the pairs of a table, called what in messages, and
// returns where each key's value stands, under the name it was likely meant to
// have: a misspelt key is one error, not also a missing key. Keys are matched by
// the very letter.
func ReadPairs[T any](s *source.Source, what string, keys []Key[T], pairs []source.Pair, meant Meant, into *T) Places {
	seen := make(Places, 0, min(len(pairs), len(keys)))
	var misspelt []source.Pair // under the names they were meant to have
	for _, p := range pairs {
		k, known := Find(keys, p.Name)
		first, twice := seen.Of(p.Name)
		switch {
		case !known:
			key, fix := "", ""
			if len(misspelt) < mostMeant {
				key, fix = meant(s, pairs, p)
			}
			p.Name = refuseKey(s, what, Names(keys), p, key, fix)
			misspelt = append(misspelt, p)
		case twice:
			s.Refuse(p.At, againFix(s, k.Lists, p, first), "cannot use key %q: %s has it already on line %d",
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

// againFix is the fix for a key that stands twice: both values in one list, where the key takes one.
func againFix(s *source.Source, lists bool, p source.Pair, first source.Span) string {
	before, again := s.Typed(first), s.Typed(p.Value.At)
	if !lists || before == again || len(before)+len(again) > longestFix || strings.HasPrefix(before, "{") {
		return "take it out, or the other one"
	}
	return "write " + p.Name + " = [" + items(before) + ", " + items(again) + "] and take this one out"
}

// items returns what stands in a list, or the value itself.
func items(list string) string {
	if strings.HasPrefix(list, "[") {
		return strings.Trim(list[1:len(list)-1], ", \t\r\n")
	}
	return list
}

// refuseKey files a key that a table does not have, and returns the one it was
// likely meant to be, or "".
func refuseKey(s *source.Source, what string, known []string, p source.Pair, key, fix string) string {
	if fix == "" {
		key = suggest.Word(p.Name, known)
		switch {
		case key == "":
			fix = "take it out; " + what + " has " + strings.Join(known, ", ")
		case strings.EqualFold(key, p.Name):
			fix = "write it in lower case: " + key
		default:
			fix = "did you mean " + key + "?"
		}
	}
	s.Refuse(p.At, fix, "cannot use key %q: %s has no such key", source.FirstBytes(p.Name), what)
	return key
}
