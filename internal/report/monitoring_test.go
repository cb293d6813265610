package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"natspread/internal/health"
	"natspread/internal/test/promtest"
)

// monitoring is where the alerts and the dashboard are.
const monitoring = "../../docs/monitoring"

// everyMetric is a status that has a sample of each metric, and of each label value.
func everyMetric() Status {
	live, age, made := 2, 4.5, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	up := &Health{State: health.Up, record: health.CheckRecord{OK: 9, Failed: 2, Unable: 1, Changes: 3, Duration: 1500 * time.Microsecond, Unanswered: 4}}
	down := &Health{State: health.Down, Reason: "connection refused", record: health.CheckRecord{OK: 1, Failed: 5, Changes: 1}}
	return Status{
		State: Impaired, Generation: 7, Unit: failed, Applied: &made, Version: "1.2", Findings: []Finding{{Severity: "broken"}, {Severity: "at_boot"}, {Severity: "broken"}},
		Watcher: &Watcher{Alive: true, BeatAge: &age, record: health.Record{LoadsOK: 6, LoadsFailed: 1, LoadDuration: 34 * time.Millisecond, Late: 2}},
		Services: []Service{
			{Name: "web", Health: health.Normal, Backends: []Backend{
				{Address: "10.0.0.1:80", Weight: 1, WantedShare: 1, Connections: 5, Live: &live, Health: up},
				{Address: "10.0.0.2:80", Weight: 3, Health: down},
				{Address: "10.0.0.9:80", Weight: 1, Backup: true, Health: &Health{State: health.New}},
			}},
			{Name: "dns", Backends: []Backend{{Address: "[fd00::1]:53", Weight: 1, WantedShare: 1, Live: &live}}},
		},
	}
}

// TestPromtool has Prometheus' own tool read all metrics: none is named against its rules.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtest.Promtool(t, "", everyMetric().Metrics(), "check", "metrics")
	promtest.Promtool(t, "", Status{}.Metrics(), "check", "metrics")
}

// TestAlerts has promtool try each alert with what it speaks of, and with what it does not.
func TestAlerts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	copied(t, dir, filepath.Join(monitoring, "natspread.rules.yml"))
	copied(t, dir, "../../testdata/monitoring/alerts.yml")
	promtest.Promtool(t, dir, "", "check", "rules", "natspread.rules.yml")
	promtest.Promtool(t, dir, "", "test", "rules", "alerts.yml")
	tried := readText(t, "../../testdata/monitoring/alerts.yml")
	text := readText(t, filepath.Join(monitoring, "natspread.rules.yml"))
	alerts := regexp.MustCompile(`(?m)- alert: (\w+)$`).FindAllStringSubmatch(text, -1)
	for _, alert := range alerts {
		if !strings.Contains(tried, "alertname: "+alert[1]+"\n        exp_alerts:") || !strings.Contains(tried, "alertname: "+alert[1]+"}") {
			t.Errorf("%s is not tried both ways", alert[1])
		}
	}
	queries := regexp.MustCompile(`(?m)expr: (.*)$`).FindAllStringSubmatch(text, -1)
	if len(alerts) < 10 || len(queries) != len(alerts) {
		t.Fatalf("%d alerts, %d queries", len(alerts), len(queries))
	}
	for _, query := range queries {
		wellNamed(t, query[1])
	}
}

// copied copies a file into a directory.
func copied(t *testing.T, dir, path string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(readText(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readText returns the text of a file.
func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDashboard asks of each query of the dashboard whether promtool reads it, and whether
// natspread writes the metrics and labels that it names.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Type, Definition string }
		}
	}
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(monitoring, "grafana.json"))), &dashboard); err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
		}
		if len(panel.Targets) == 0 {
			t.Errorf("%s shows nothing", panel.Title)
		}
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, query := range queries {
		wellNamed(t, query)
		query = strings.NewReplacer("$__rate_interval", "5m", "$instance", "lb1", "$service", "web").Replace(query)
		fmt.Fprintf(&rules, "  - record: q%d\n    expr: '%s'\n", i, query)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dashboard.yml"), []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtest.Promtool(t, dir, "", "check", "rules", "dashboard.yml")
	variables := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	for _, variable := range dashboard.Templating.List {
		asked := variables.FindStringSubmatch(variable.Definition)
		if variable.Type != "query" {
			continue
		}
		if asked == nil {
			t.Errorf("%s asks for no label", variable.Definition)
			continue
		}
		wellNamed(t, fmt.Sprintf("sum by (%s) (%s)", asked[2], asked[1]))
	}
	if len(queries) < 15 {
		t.Errorf("%d queries", len(queries))
	}
}

// Parts of a query: a metric of natspread's with its matchers, one matcher, and the labels that
// are kept.
var (
	metricInQuery  = regexp.MustCompile(`(natspread_\w+)(?:\{([^}]*)\})?`)
	matcherInQuery = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"([^"]*)"`)
	keptInQuery    = regexp.MustCompile(`(?:by|on) \(([^)]*)\)`)
)

// wellNamed fails unless natspread writes the metrics of a query, with the labels that it asks for,
// and the values of these that it names.
func wellNamed(t *testing.T, query string) {
	t.Helper()
	scraped, err := promtest.Scrape(everyMetric().Metrics())
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]map[string][]string{} // the values of the labels of the metrics
	for _, series := range slices.Sorted(maps.Keys(scraped.Values)) {
		words := strings.Split(series, ",")
		if labels[words[0]] == nil {
			labels[words[0]] = map[string][]string{"instance": nil} // by Prometheus
		}
		for _, label := range words[1:] {
			key, value, _ := strings.Cut(label, "=")
			labels[words[0]][key] = append(labels[words[0]][key], value)
		}
	}
	for _, found := range metricInQuery.FindAllStringSubmatch(query, -1) {
		of, is := labels[found[1]]
		if !is {
			t.Errorf("%s: natspread writes no %s", query, found[1])
		}
		for _, matcher := range matcherInQuery.FindAllStringSubmatch(found[2], -1) {
			values, is := of[matcher[1]]
			if !is {
				t.Errorf("%s: %s has no label %s", query, found[1], matcher[1])
			}
			for value := range strings.SplitSeq(matcher[3], "|") {
				if !strings.HasPrefix(value, "$") && !slices.Contains(values, value) {
					t.Errorf("%s: %s is never %q", query, matcher[1], value)
				}
			}
		}
		for _, kept := range keptInQuery.FindAllStringSubmatch(query, -1) {
			for label := range strings.SplitSeq(kept[1], ", ") {
				if _, is := of[label]; !is {
					t.Errorf("%s: %s has no label %s", query, found[1], label)
				}
			}
		}
	}
}
