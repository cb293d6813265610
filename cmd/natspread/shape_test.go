package main

import (
	"reflect"
	"strings"
	"testing"
)

// TestManualShapes looks for each key of the objects that programs read of status and
// diff in the manual's text on the verb.
func TestManualShapes(t *testing.T) {
	for verb, shape := range map[string]reflect.Type{
		"status": reflect.TypeFor[statusResult](),
		"diff":   reflect.TypeFor[diffResult](),
	} {
		var text string
		for _, p := range parts(section(t, manual(t, "natspread.8"), "VERBS"), "### ") {
			if p.heading == verb {
				_, text, _ = strings.Cut(p.text, "\nWith **--json** the ")
			}
		}
		keys := jsonKeys(shape)
		if len(keys) < 10 {
			t.Errorf("%s: only %d keys", verb, len(keys))
		}
		for _, key := range keys {
			if !strings.Contains(text, "**"+key+"**") {
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
