package config

import (
	"fmt"
	"math"
	"strconv"
)

// located is a value that passed its own checks, and its place for the checks
// against others.
type located[T any] struct {
	val T
	at  span
}

// field is the value of a known key on its way into a draft.
type field struct {
	*source
	name    string
	example string
	value   value
}

// refuse files a fault of v, which is the field's value or an item of it.
func (f field) refuse(v value, why fault) {
	if why.fix == "" {
		why.fix = "write " + f.example
	}
	f.source.refuse(v.at, why.fix, "cannot use %s %s: %s", f.name, f.show(v.at), why.cause)
}

// has reports whether v is of kind want, and files an error when it is not.
func (f field) has(v value, want kind) bool {
	if v.kind != want {
		why := fault{cause: "it is " + string(v.kind) + ", not " + string(want)}
		if n, err := strconv.ParseFloat(v.text, 64); want == isInteger && err == nil && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			why.fix = fmt.Sprintf("write %s = %.0f", f.name, n)
		}
		f.refuse(v, why)
	}
	return v.kind == want
}

// whole returns the value of a whole number; one that no int holds is the nearest that does.
func (f field) whole() int {
	n, _ := strconv.ParseInt(f.value.text, 0, strconv.IntSize)
	return int(n)
}

// list returns the items of a value that must be a list.
func (f field) list() []value {
	if !f.has(f.value, isList) {
		return nil
	}
	return f.value.items
}

// oneOrMore returns the items of a list, or the value itself where no list
// stands. An empty list is refused, because nothing would ever match.
func (f field) oneOrMore() []value {
	if f.value.kind != isList {
		return []value{f.value}
	}
	if len(f.value.items) == 0 {
		f.refuse(f.value, fault{cause: "the list is empty"})
	}
	return f.value.items
}

// setBool puts true or false into place.
func (f field) setBool(place *bool) {
	if f.has(f.value, isBool) {
		*place = f.value.text == "true"
	}
}

// set puts the field's string into place if parse accepts it.
func set[T any](place *located[T], f field, parse func(string) (T, *fault)) {
	for _, l := range many(f, []value{f.value}, parse) {
		*place = l
	}
}

// many returns those of the strings in list that parse accepts, and files an
// error for each of the others.
func many[T any](f field, list []value, parse func(string) (T, *fault)) []located[T] {
	good := make([]located[T], 0, len(list))
	for _, v := range list {
		if !f.has(v, isString) {
			continue
		}
		val, why := parse(v.text)
		if why != nil {
			f.refuse(v, *why)
			continue
		}
		good = append(good, located[T]{val, v.at})
	}
	return good
}
