package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/adopt"
	"natspread/internal/failure"
	"natspread/internal/report"
	"natspread/internal/selftest"
	"natspread/internal/test/promtest"
	"natspread/internal/trace"
	"natspread/internal/watcher"
)

// verbShapes are what the verbs print with --json, by the headings of docs/json.md.
func verbShapes() map[string]reflect.Type {
	return map[string]reflect.Type{
		"apply, confirm, edit, restore, rollback, stop": reflect.TypeFor[changeResult](),
		"adopt":                 reflect.TypeFor[adopt.Report](),
		"check":                 reflect.TypeFor[checkResult](),
		"diff":                  reflect.TypeFor[report.Diff](),
		"doctor":                reflect.TypeFor[doctorResult](),
		"drain, undrain":        reflect.TypeFor[drainResult](),
		"every verb that fails": reflect.TypeFor[failure.Failure](),
		"health":                reflect.TypeFor[watcher.Report](),
		"history":               reflect.TypeFor[report.History](),
		"init":                  reflect.TypeFor[initResult](),
		"install, uninstall":    reflect.TypeFor[installResult](),
		"render":                reflect.TypeFor[renderResult](),
		"render --explain":      reflect.TypeFor[trace.ExplanationResult](),
		"selftest":              reflect.TypeFor[selftest.Result](),
		"status":                reflect.TypeFor[report.Status](),
		"version":               reflect.TypeFor[versionResult](),
		"man":                   reflect.TypeFor[manResult](),
		"completion":            reflect.TypeFor[completionResult](),
	}
}

// objectShapes are what stands in those, by the headings of docs/json.md.
func objectShapes() map[string]reflect.Type {
	return map[string]reflect.Type{
		"adopted backend":    reflect.TypeFor[adopt.AdoptedTarget](),
		"adopted service":    reflect.TypeFor[adopt.Adopted](),
		"boot line":          reflect.TypeFor[adopt.BootLine](),
		"difference":         reflect.TypeFor[adopt.Difference](),
		"kept rules":         reflect.TypeFor[adopt.KeptRules](),
		"question":           reflect.TypeFor[adopt.Question](),
		"rule":               reflect.TypeFor[adopt.RuleText](),
		"backend":            reflect.TypeFor[report.Backend](),
		"backend change":     reflect.TypeFor[report.BackendChange](),
		"backend health":     reflect.TypeFor[report.Health](),
		"chain":              reflect.TypeFor[trace.ChainResult](),
		"changes":            reflect.TypeFor[report.Changes](),
		"check of a backend": reflect.TypeFor[watcher.Checked](),
		"clients moved":      reflect.TypeFor[report.ClientsMoved](),
		"drained backend":    reflect.TypeFor[drainedBackend](),
		"error":              reflect.TypeFor[failure.Problem](),
		"finding":            reflect.TypeFor[report.Finding](),
		"flow":               reflect.TypeFor[trace.FlowResult](),
		"generation":         reflect.TypeFor[report.HistoryEntry](),
		"hop":                reflect.TypeFor[trace.HopResult](),
		"out":                reflect.TypeFor[report.Out](),
		"outcome":            reflect.TypeFor[trace.OutcomeResult](),
		"pending":            reflect.TypeFor[report.Pending](),
		"service":            reflect.TypeFor[report.Service](),
		"service change":     reflect.TypeFor[report.ServiceChange](),
		"setting":            reflect.TypeFor[report.SettingChange](),
		"share":              reflect.TypeFor[report.Share](),
		"slot":               reflect.TypeFor[trace.SlotResult](),
		"tried backend":      reflect.TypeFor[selftest.Backend](),
		"tried clients":      reflect.TypeFor[selftest.Client](),
		"tried service":      reflect.TypeFor[selftest.Service](),
		"watcher":            reflect.TypeFor[report.Watcher](),
		"wrong":              reflect.TypeFor[selftest.Finding](),
	}
}

// jsonPage returns the page on what programs read.
func jsonPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(house, "docs/json.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestJSONPage holds each table of the page to the type: its keys in their order, what
// they hold, and whether they may be absent.
func TestJSONPage(t *testing.T) {
	t.Parallel()
	page := jsonPage(t)
	for heading, shapes := range map[string]map[string]reflect.Type{"Verbs": verbShapes(), "Objects": objectShapes()} {
		for _, part := range parts(section(t, page, heading), "### ") {
			shape, known := shapes[part.heading]
			if !known {
				t.Errorf("the page has %q, and nothing prints it", part.heading)
				continue
			}
			if diff := cmp.Diff(keysOf(t, shape), keysIn(t, part)); diff != "" {
				t.Errorf("%s: -program +page:\n%s", part.heading, diff)
			}
			delete(shapes, part.heading)
		}
		for missing := range shapes {
			t.Errorf("the page has no %q", missing)
		}
	}
}

// keysIn returns the keys of a table as keysOf does.
func keysIn(t *testing.T, table part) [][]string {
	t.Helper()
	var keys [][]string
	for _, row := range columns(table.text) {
		key, held, meaning, absent := row[0], row[1], row[2], row[3]
		if meaning == "" || absent == "" {
			t.Errorf("%s, %s: something is not said", table.heading, key)
		}
		if absent != "never" {
			absent = ""
		}
		keys = append(keys, []string{key, held, absent})
	}
	return keys
}

// TestJSONPageVerbs looks for each verb in the page.
func TestJSONPageVerbs(t *testing.T) {
	t.Parallel()
	var verbs []string
	for heading := range verbShapes() {
		verbs = append(verbs, strings.Split(heading, ", ")...)
	}
	for _, command := range (&session{}).program().Verbs {
		if !slices.Contains(verbs, command.Name) {
			t.Errorf("the page has no %s", command.Name)
		}
	}
}

// TestJSONPageMetrics holds the table of metrics to what is exported.
func TestJSONPageMetrics(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(house, "testdata/monitoring/metrics.prom")) // to which report holds what it writes
	if err != nil {
		t.Fatal(err)
	}
	exported, err := promtest.Scrape(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var want [][]string
	for series := range exported.Values {
		name, labels, _ := strings.Cut(series, ",")
		labels = strings.Join(regexp.MustCompile(`\w+=`).FindAllString(labels, -1), ", ")
		want = append(want, []string{name, exported.Types[name], strings.ReplaceAll(labels, "=", "")})
	}
	var got [][]string
	for _, row := range columns(section(t, jsonPage(t), "Metrics")) {
		got = append(got, row[:3])
	}
	for _, rows := range [][][]string{want, got} {
		slices.SortFunc(rows, slices.Compare)
	}
	if diff := cmp.Diff(slices.CompactFunc(want, slices.Equal), got); diff != "" {
		t.Errorf("-program +page:\n%s", diff)
	}
}

// columns returns the rows of the tables in a text, without their heads.
func columns(text string) [][]string {
	var rows [][]string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*) \\|$").FindAllStringSubmatch(text, -1) {
		var cells []string
		for cell := range strings.SplitSeq(row[1], "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		cells[0] = strings.Trim(cells[0], "`")
		rows = append(rows, cells)
	}
	return rows
}

// keysOf returns the keys of a type's objects: what each holds, and "never" for those that
// are never absent. What it embeds has a section of its own.
func keysOf(t *testing.T, shape reflect.Type) [][]string {
	t.Helper()
	var keys [][]string
	for i := range shape.NumField() {
		field := shape.Field(i)
		if !field.IsExported() || field.Anonymous {
			continue
		}
		key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		absent := "never"
		if options == "omitempty" {
			absent = ""
		}
		held := heldBy(t, field.Type)
		if field.Type.Kind() == reflect.Pointer && absent == "never" {
			held += " or null"
		}
		keys = append(keys, []string{key, held, absent})
	}
	return keys
}

// heldBy says in the words of the page what a type becomes in JSON.
func heldBy(t *testing.T, held reflect.Type) string {
	t.Helper()
	switch held.Kind() {
	case reflect.Pointer:
		return heldBy(t, held.Elem())
	case reflect.Slice:
		return "array of " + heldBy(t, held.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Uint64:
		return "integer"
	case reflect.Float64:
		return "number"
	}
	if held == reflect.TypeFor[time.Time]() {
		return "string"
	}
	for _, shapes := range []map[string]reflect.Type{verbShapes(), objectShapes()} {
		for heading, shape := range shapes {
			if shape == held {
				return fmt.Sprintf("[%s](#%s)", heading, strings.ReplaceAll(heading, " ", "-"))
			}
		}
	}
	t.Fatalf("the page has no section for a %v", held)
	return ""
}

// TestManualShapes looks for each key of the objects that programs read most in the
// manual's text on the verb; those of a dry run's difference stand in that on diff.
func TestManualShapes(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	for _, p := range parts(section(t, manual(t, "natspread.8"), "VERBS"), "### ") {
		_, texts[p.heading], _ = strings.Cut(p.text, "\nWith **--json** the ")
	}
	for verb, c := range map[string]struct {
		shape reflect.Type
		least int
		text  string
	}{
		"apply":   {reflect.TypeFor[changeResult](), 19, texts["apply"] + texts["diff"]},
		"diff":    {reflect.TypeFor[report.Diff](), 10, texts["diff"]},
		"doctor":  {reflect.TypeFor[doctorResult](), 4, texts["doctor"]},
		"drain":   {reflect.TypeFor[drainResult](), 3, texts["drain"]},
		"health":  {reflect.TypeFor[watcher.Report](), 8, texts["health"]},
		"history": {reflect.TypeFor[report.History](), 16, texts["history"]},
		"status":  {reflect.TypeFor[report.Status](), 10, texts["status"]},
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
