package main

import (
	"reflect"
	"strings"
	"testing"

	"natspread/internal/report"
)

// TestManualShapes looks for each key of the objects that programs read in the manual's
// text on the verb; the difference of a dry run is told of where diff is.
func TestManualShapes(t *testing.T) {
	told := map[string]string{}
	for _, p := range parts(section(t, manual(t, "natspread.8"), "VERBS"), "### ") {
		_, told[p.heading], _ = strings.Cut(p.text, "\nWith **--json** the ")
	}
	for verb, c := range map[string]struct {
		shape reflect.Type
		least int
		text  string
	}{
		"apply":   {reflect.TypeFor[changeResult](), 19, told["apply"] + told["diff"]},
		"diff":    {reflect.TypeFor[report.Diff](), 10, told["diff"]},
		"doctor":  {reflect.TypeFor[doctorResult](), 4, told["doctor"]},
		"drain":   {reflect.TypeFor[drainResult](), 3, told["drain"]},
		"history": {reflect.TypeFor[historyResult](), 12, told["history"]},
		"status":  {reflect.TypeFor[report.Status](), 10, told["status"]},
	} {
		keys := jsonKeys(c.shape)
		if len(keys) < c.least {
			t.Errorf("%s: only %d keys", verb, len(keys))
		}
		for _, key := range keys {
			if !strings.Contains(c.text, "**"+key+"**") {
				t.Errorf("the manual on %s --json does not have %s", verb, key)
			}
		}
	}
}

// jsonKeys returns the keys of a type's objects, and of those in them.
func jsonKeys(shape reflect.Type) []string {
	switch shape.Kind() {
	case reflect.Pointer, reflect.Slice:
		return jsonKeys(shape.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	var keys []string
	for i := range shape.NumField() {
		field := shape.Field(i)
		if key, _, _ := strings.Cut(field.Tag.Get("json"), ","); key != "" {
			keys = append(append(keys, key), jsonKeys(field.Type)...)
		}
	}
	return keys
}
