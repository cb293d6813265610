package report

import (
	"testing"
	"time"

	"natspread/internal/test/promtest"
)

// TestMetrics writes made-up numbers and reads them back.
func TestMetrics(t *testing.T) {
	t.Parallel()
	live, made := 7, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got, err := promtest.Scrape(Status{
		Version: "1.2", Unit: "failed", Applied: &made,
		State: Drift, Current: 13, Generation: 12, Unapplied: true, Findings: []Finding{{Severity: "broken"}, {Severity: "broken"}, {Severity: "risk"}},
		Services: []Service{
			{Name: "web", Backends: []Backend{{Address: "10.0.0.1:80", WantedShare: 1.0 / 3, Connections: 1 << 40, Live: &live}, {Address: "10.0.0.2:80"}}},
			{Name: "dns", Backends: []Backend{{Address: "[fd00::1]:53", WantedShare: 1}}},
			{Name: "a\"b\\c\nd", Backends: []Backend{{Address: "10.0.0.1"}}}, // no config has it
		},
	}.Metrics())
	if err != nil {
		t.Fatal(err)
	}
	for series, want := range map[string]float64{
		"natspread_up": 1, "natspread_generation": 12, "natspread_unapplied": 1,
		"natspread_build_info,version=1.2": 1, "natspread_unit,state=failed": 1, "natspread_applied_timestamp_seconds": 1767323045,
		"natspread_state,state=in_sync": 0, "natspread_state,state=drift": 1, "natspread_state,state=impaired": 0, "natspread_state,state=not_loaded": 0,
		"natspread_findings,severity=broken": 2, "natspread_findings,severity=at_boot": 0, "natspread_findings,severity=risk": 1,
		"natspread_backend_connections_total,service=web,backend=10.0.0.1:80":     1 << 40,
		"natspread_backend_connections_total,service=dns,backend=[fd00::1]:53":    0,
		"natspread_backend_wanted_ratio,service=web,backend=10.0.0.1:80":          1.0 / 3,
		"natspread_backend_live_connections,service=web,backend=10.0.0.1:80":      7,
		"natspread_backend_connections_total,service=a\"b\\c\nd,backend=10.0.0.1": 0,
	} {
		if value, found := got.Values[series]; !found || value != want {
			t.Errorf("%s is %v (%v), not %v", series, value, found, want)
		}
	}
	if none, err := promtest.Scrape(Status{}.Metrics()); err != nil || none.Types["natspread_unit"] != "" || none.Types["natspread_applied_timestamp_seconds"] != "" {
		t.Errorf("nothing was applied, and no systemd is there: %v, %v", none.Types, err)
	}
	// What is not known has no sample: 0 would be a lie.
	if value, found := got.Values["natspread_backend_live_connections,service=dns,backend=[fd00::1]:53"]; found {
		t.Errorf("live connections that nobody counted are %v", value)
	}
	if got.Types["natspread_backend_connections_total"] != "counter" || got.Types["natspread_backend_live_connections"] != "gauge" {
		t.Errorf("types: %v", got.Types)
	}
}

// TestMetricsUp tells rules that are loaded from none.
func TestMetricsUp(t *testing.T) {
	t.Parallel()
	for state, want := range map[State]float64{InSync: 1, Drift: 1, Impaired: 1, NotLoaded: 0} {
		got, err := promtest.Scrape(Status{State: state}.Metrics())
		if err != nil || got.Values["natspread_up"] != want || got.Values["natspread_state,state="+string(state)] != 1 {
			t.Errorf("%s: %v, %v", state, got.Values, err)
		}
	}
}
