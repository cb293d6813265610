package field

import (
	"strconv"
	"strings"

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

// longestFix is how long what was written may be for the fix to have it in it.
const longestFix = 2048

// Refuse files a fault of v, which is the field's value or an item of it. A fix that is a list
// stands without its brackets where it goes into one.
func (f Field) Refuse(v source.Value, why value.Fault) {
	if why.Fix == "" {
		why.Fix = "write " + f.example
	}
	if inside, isList := strings.CutPrefix(why.Fix, `write ["`); isList && v.At != f.Value.At {
		why.Fix = `write "` + strings.Replace(inside, `"]`, `"`, 1)
	}
	f.Source.Refuse(v.At, why.Fix, "cannot use %s %s: %s", f.Name, f.Show(v.At), why.Cause)
}

// Has reports whether v is of kind want, and files an error when it is not.
func (f Field) Has(v source.Value, want source.Kind) bool {
	if v.Kind != want {
		why := kindFault(v, want)
		if want == source.Integer {
			why = f.numberFault(v, why)
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
	if f.Value.Kind == source.List {
		if f.refuseNested() {
			return nil
		}
		return f.Value.Items
	}
	why := kindFault(f.Value, source.List)
	switch written := f.Value.At; {
	case written.End-written.Start > longestFix, f.Value.Text == "" && f.Value.Kind == source.String:
	case f.Value.Kind == source.String:
		why.Fix = "write " + f.Name + " = [" + strings.Join(source.QuoteAll(strings.FieldsFunc(f.Value.Text, value.Separates)), ", ") + "]"
	case f.Value.Kind == source.InlineTable:
		why.Fix = "write " + f.Name + " = [" + f.Typed(written) + "]"
	}
	f.Refuse(f.Value, why)
	return nil
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
	if f.refuseNested() {
		return nil
	}
	return f.Value.Items
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
		if v.Kind != source.String {
			refuseKind(f, v, parse)
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
