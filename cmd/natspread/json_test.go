package main

import (
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

// verbShapes are what the verbs print with --json, by the headings of natspread-json(5).
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

// objectShapes are what stands in those, by the headings of natspread-json(5).
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

// TestJSONPage holds each part of the page to the type: its keys in their order, what
// they hold, and whether they may be absent.
func TestJSONPage(t *testing.T) {
	t.Parallel()
	page := manual(t, "natspread-json.5")
	for heading, shapes := range map[string]map[string]reflect.Type{"VERBS": verbShapes(), "OBJECTS": objectShapes()} {
		for _, part := range parts(section(t, page, heading), "### ") {
			shape, known := shapes[part.heading]
			if !known {
				t.Errorf("the page has %q, and nothing prints it", part.heading)
				continue
			}
			if diff := cmp.Diff(keysOf(t, shape), keysIn(part)); diff != "" {
				t.Errorf("%s: -program +page:\n%s", part.heading, diff)
			}
			delete(shapes, part.heading)
		}
		for missing := range shapes {
			t.Errorf("the page has no %q", missing)
		}
	}
}

// keysIn returns the keys of a part of the page as keysOf does.
func keysIn(part part) [][]string {
	var keys [][]string
	for _, entry := range entries(part.text) {
		absent := "never"
		if entry.absent != "" {
			absent = ""
		}
		keys = append(keys, []string{entry.key, entry.held, absent})
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

// TestJSONPageMetrics holds the list of metrics to what is exported.
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
		name, labels, labeled := strings.Cut(series, ",")
		held := exported.Types[name]
		if labeled {
			held += " by " + strings.ReplaceAll(strings.Join(regexp.MustCompile(`\w+=`).FindAllString(labels, -1), ", "), "=", "")
		}
		want = append(want, []string{name, held})
	}
	var got [][]string
	for _, entry := range entries(section(t, manual(t, "natspread-json.5"), "METRICS")) {
		got = append(got, []string{entry.key, entry.held})
	}
	for _, rows := range [][][]string{want, got} {
		slices.SortFunc(rows, slices.Compare)
	}
	if diff := cmp.Diff(slices.CompactFunc(want, slices.Equal), got); diff != "" {
		t.Errorf("-program +page:\n%s", diff)
	}
}

// entry is what the page says of a key, or of a metric.
type entry struct{ key, held, meaning, absent string }

// entries returns what a part of the page says of each key.
func entries(text string) []entry {
	var all []entry
	for _, said := range regexp.MustCompile(`(?m)^\*\*([^*]+)\*\* (.+)\n:   (.*(?:\n    .*)*)$`).FindAllStringSubmatch(text, -1) {
		words := strings.NewReplacer("*", "", `\*`, "*").Replace(strings.Join(strings.Fields(said[3]), " "))
		meaning, absent, _ := strings.Cut(words, ". Absent ")
		all = append(all, entry{said[1], said[2], strings.TrimSuffix(meaning, "."), absent})
	}
	return all
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
		if key == "-" { // it is not printed
			continue
		}
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
				return "*" + heading + "*"
			}
		}
	}
	t.Fatalf("the page has no section for a %v", held)
	return ""
}
