package field

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// numberFault gives the fault of a value that is no whole number its fix, where a number stands in it.
func (f Field) numberFault(v source.Value, why value.Fault) value.Fault {
	text := strings.Trim(v.Text, " %")
	if n, err := strconv.ParseFloat(text, 64); err == nil && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		why.Fix = fmt.Sprintf("write %s = %.0f", f.Name, n)
	}
	return why
}

// switches are the words of other programs for true and false.
var switches = map[string]bool{
	"true": true, "yes": true, "on": true, "1": true, "y": true, "t": true, "enable": true, "enabled": true,
	"false": false, "no": false, "off": false, "0": false, "n": false, "f": false, "disable": false, "disabled": false, "none": false,
}

// Switch returns what a word for true or false means, where it is one.
func Switch(word string) (meant, known bool) {
	meant, known = switches[strings.ToLower(strings.TrimSpace(word))]
	return meant, known
}

// SetBool puts true or false into place.
func (f Field) SetBool(place *bool) {
	if f.Value.Kind == source.Bool {
		*place = f.Value.Text == "true"
		return
	}
	why := kindFault(f.Value, source.Bool)
	why.Fix = fmt.Sprintf("write %[1]s = true, or %[1]s = false", f.Name)
	if meant, known := Switch(f.Value.Text); known {
		why.Fix = fmt.Sprintf("write %s = %t", f.Name, meant)
	}
	f.Refuse(f.Value, why)
}

// kindFault is the fault of a value that is of another kind than it has to be.
func kindFault(v source.Value, want source.Kind) value.Fault {
	return value.Fault{Cause: "it is " + string(v.Kind) + ", not " + string(want)}
}

// refuseKind files a value that is no string. Its fix is the string that is in it, or what parse has
// to say of that.
func refuseKind[T any](f Field, v source.Value, parse func(string) (T, *value.Fault)) {
	why := kindFault(v, source.String)
	for _, text := range texts(v) {
		_, other := parse(text)
		if other == nil {
			why.Fix = "write " + source.Quote(text)
			break
		}
		why.Fix = other.Fix
	}
	f.Refuse(v, why)
}

// texts returns the strings that a value of another kind was likely meant to be. Those of a list
// stand in one string, which says itself why it is not good.
func texts(v source.Value) []string {
	switch v.Kind {
	case source.List:
		var items []string
		for _, item := range v.Items {
			items = append(items, item.Text)
		}
		return []string{strings.Join(items, ", ")}
	case source.InlineTable:
		var all []string
		for _, p := range v.Pairs {
			all = append(all, p.Name, p.Value.Text)
		}
		return all
	}
	return []string{v.Text}
}

// refuseNested files a list in which there is another one, and tells whether it is that. The fix has
// the items of all lists in one.
func (f Field) refuseNested() bool {
	isList := func(item source.Value) bool { return item.Kind == source.List }
	if !slices.ContainsFunc(f.Value.Items, isList) {
		return false
	}
	fix := "natspread can't read it: write the items of all lists into one"
	if f.Value.At.End-f.Value.At.Start <= longestFix {
		fix = "write " + f.Name + " = [" + strings.Join(f.flat(f.Value.Items), ", ") + "]"
	}
	f.Refuse(f.Value, value.Fault{Cause: "there is a list in the list", Fix: fix})
	return true
}

// flat writes the items of lists in lists as those of one. An address with a number in a list is a
// backend with its weight.
func (f Field) flat(items []source.Value) []string {
	var all []string
	for _, item := range items {
		inner := item.Items
		switch {
		case len(inner) == 2 && inner[0].Kind == source.String && inner[1].Kind == source.Integer:
			all = append(all, "{ address = "+source.Quote(inner[0].Text)+", weight = "+inner[1].Text+" }")
		case item.Kind == source.List:
			all = append(all, f.flat(inner)...)
		case item.Kind == source.String:
			all = append(all, source.Quote(item.Text))
		default:
			all = append(all, f.Typed(item.At))
		}
	}
	return all
}
