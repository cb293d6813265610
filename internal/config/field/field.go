package field

import (
	"fmt"
	"math"
	"strconv"

	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// Located is a value that passed its own checks, and its place for the checks
// against others.
type Located[T any] struct {
	Val T
	At  source.Span
}

// Field is the value of a known key on its way into a draft.
type Field struct {
	*source.Source
	Name    string
	example string
	Value   source.Value
}

// Refuse files a fault of v, which is the field's value or an item of it.
func (f Field) Refuse(v source.Value, why value.Fault) {
	if why.Fix == "" {
		why.Fix = "write " + f.example
	}
	f.Source.Refuse(v.At, why.Fix, "cannot use %s %s: %s", f.Name, f.Show(v.At), why.Cause)
}

// Has reports whether v is of kind want, and files an error when it is not.
func (f Field) Has(v source.Value, want source.Kind) bool {
	if v.Kind != want {
		why := value.Fault{Cause: "it is " + string(v.Kind) + ", not " + string(want)}
		if n, err := strconv.ParseFloat(v.Text, 64); want == source.Integer && err == nil && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			why.Fix = fmt.Sprintf("write %s = %.0f", f.Name, n)
		}
		f.Refuse(v, why)
	}
	return v.Kind == want
}

// Whole returns the value of a whole number; one that no int holds is the nearest that does.
func (f Field) Whole() int {
	n, _ := strconv.ParseInt(f.Value.Text, 0, strconv.IntSize)
	return int(n)
}

// List returns the items of a value that must be a list.
func (f Field) List() []source.Value {
	if !f.Has(f.Value, source.List) {
		return nil
	}
	return f.Value.Items
}

// OneOrMore returns the items of a list, or the value itself where no list
// stands. An empty list is refused, because nothing would ever match.
func (f Field) OneOrMore() []source.Value {
	if f.Value.Kind != source.List {
		return []source.Value{f.Value}
	}
	if len(f.Value.Items) == 0 {
		f.Refuse(f.Value, value.Fault{Cause: "the list is empty"})
	}
	return f.Value.Items
}

// SetBool puts true or false into place.
func (f Field) SetBool(place *bool) {
	if f.Has(f.Value, source.Bool) {
		*place = f.Value.Text == "true"
	}
}

// Set puts the field's string into place if parse accepts it.
func Set[T any](place *Located[T], f Field, parse func(string) (T, *value.Fault)) {
	for _, l := range Many(f, []source.Value{f.Value}, parse) {
		*place = l
	}
}

// Many returns those of the strings in list that parse accepts, and files an
// error for each of the others.
func Many[T any](f Field, list []source.Value, parse func(string) (T, *value.Fault)) []Located[T] {
	good := make([]Located[T], 0, len(list))
	for _, v := range list {
		if !f.Has(v, source.String) {
			continue
		}
		val, why := parse(v.Text)
		if why != nil {
			f.Refuse(v, *why)
			continue
		}
		good = append(good, Located[T]{val, v.At})
	}
	return good
}
