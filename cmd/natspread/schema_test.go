package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// schema is a JSON Schema, or a part of one.
type schema = map[string]any

// TestJSONSchema holds docs/json.schema.json to the types that are printed, and to what the page says of their keys;
// -update writes it.
func TestJSONSchema(t *testing.T) {
	t.Parallel()
	file := filepath.Join(house, "docs/json.schema.json")
	want, err := json.MarshalIndent(wholeSchema(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("go test ./cmd/natspread -run '^TestJSONSchema$' -update writes it anew: -types +file:\n%s", diff)
	}
}

// wholeSchema describes what any verb prints: a definition for each verb, by its name, and for each object.
func wholeSchema(t *testing.T) schema {
	t.Helper()
	meanings := map[string]map[string]string{}
	for _, heading := range []string{"VERBS", "OBJECTS"} {
		for _, part := range parts(section(t, manual(t, "natspread-json.5"), heading), "### ") {
			meanings[part.heading] = map[string]string{}
			for _, entry := range entries(part.text) {
				meanings[part.heading][entry.key] = entry.meaning
			}
		}
	}
	definitions, either := schema{}, []schema{}
	for heading, shape := range objectShapes() {
		definitions[definition(heading)] = objectSchema(t, shape, meanings[heading])
	}
	shapes := verbShapes()
	for _, heading := range sortedKeys(shapes) {
		first, others, _ := strings.Cut(heading, ", ")
		meaning := maps.Clone(meanings[heading])
		if heading == "drain, undrain" {
			maps.Copy(meaning, meanings["apply, confirm, edit, restore, rollback, stop"])
		}
		definitions[definition(first)] = objectSchema(t, shapes[heading], meaning)
		either = append(either, reference(first))
		for other := range strings.SplitSeq(others, ", ") {
			if other != "" {
				definitions[definition(other)] = reference(first)
			}
		}
	}
	return schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "natspread --json",
		"description": "What each verb prints with --json: the definition of its name; and what it prints if it fails. " +
			"A later version may add keys and values.",
		"anyOf": either,
		"$defs": definitions,
	}
}

// sortedKeys returns the keys of a map in order.
func sortedKeys(shapes map[string]reflect.Type) []string { return slices.Sorted(maps.Keys(shapes)) }

// definition is the name of a heading among the definitions.
func definition(heading string) string {
	return strings.ReplaceAll(strings.ReplaceAll(heading, "--", ""), " ", "-")
}

// reference refers to a definition.
func reference(heading string) schema { return schema{"$ref": "#/$defs/" + definition(heading)} }

// objectSchema describes the objects of a type. What it embeds is part of it.
func objectSchema(t *testing.T, shape reflect.Type, meanings map[string]string) schema {
	t.Helper()
	properties, required := schema{}, []string{}
	for _, field := range reflect.VisibleFields(shape) {
		if !field.IsExported() || field.Anonymous {
			continue
		}
		key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if key == "-" { // it is not printed
			continue
		}
		value := valueSchema(t, field.Type)
		if field.Type.Kind() == reflect.Pointer && options != "omitempty" {
			value = schema{"anyOf": []schema{value, {"type": "null"}}}
		}
		if meanings[key] == "" {
			t.Errorf("the page does not say what %s of %v is", key, shape)
		}
		value["description"] = meanings[key]
		properties[key] = value
		if options != "omitempty" {
			required = append(required, key)
		}
	}
	return schema{"type": "object", "properties": properties, "required": required}
}

// valueSchema describes what a type becomes, in the words of the page.
func valueSchema(t *testing.T, held reflect.Type) schema {
	t.Helper()
	word := heldBy(t, held)
	switch {
	case strings.HasPrefix(word, "array of "):
		return schema{"type": "array", "items": valueSchema(t, held.Elem())}
	case strings.HasPrefix(word, "*"):
		first, _, _ := strings.Cut(strings.Trim(word, "*"), ", ")
		return reference(first)
	}
	return schema{"type": word}
}
