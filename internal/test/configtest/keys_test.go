package configtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// schemaKeys returns the keys that the config has, by its schema, which is made from the lists of keys:
// those of all its tables.
func schemaKeys(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/natspread.toml.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var keys []string
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, item := range node {
				walk(item)
			}
		case map[string]any:
			properties, _ := node["properties"].(map[string]any)
			for name := range properties {
				keys = append(keys, name)
			}
			for _, below := range node {
				walk(below)
			}
		}
	}
	walk(schema)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// writtenKey is a key in a file, at the begin of a line or in a table on one; heading is that of a
// table.
var (
	writtenKey = regexp.MustCompile(`(?m)(?:^|[{,])\s*([a-z_]+)\s*=`)
	heading    = regexp.MustCompile(`(?m)^\[+([a-z0-9_.-]+)\]`)
)

// wantKeys fails where a key of the config is in no file.
func wantKeys(t *testing.T, files string) {
	t.Helper()
	seen := map[string]bool{}
	for _, match := range writtenKey.FindAllStringSubmatch(files, -1) {
		seen[match[1]] = true
	}
	for _, match := range heading.FindAllStringSubmatch(files, -1) {
		for word := range strings.SplitSeq(match[1], ".") {
			seen[word] = true
		}
	}
	for _, key := range schemaKeys(t) {
		if !seen[key] {
			t.Errorf("no file has the key %s", key)
		}
	}
}

// TestEveryKeyIsGenerated wants every key of the config in the files of generated configs, or no
// test by these configs tries it.
func TestEveryKeyIsGenerated(t *testing.T) {
	var files strings.Builder
	for seed := range 400 {
		files.Write(SharedText(Config().Example(seed)))
	}
	wantKeys(t, files.String())
}

// TestEveryKeyIsInTheCorpus wants every key in the files that the fuzzer of config.Parse begins with.
func TestEveryKeyIsInTheCorpus(t *testing.T) {
	paths, err := filepath.Glob("../../../testdata/config/good-*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no files: %v", err)
	}
	var files strings.Builder
	for _, path := range paths {
		story, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files.Write(story.Files[0].Data)
	}
	wantKeys(t, files.String())
}
