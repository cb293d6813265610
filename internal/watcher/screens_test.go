package watcher

import (
	"flag"
	"testing"

	"natspread/internal/health"
	"natspread/internal/test/screentest"
)

// update rewrites the golden of the screen.
var update = flag.Bool("update", false, "rewrite the screen of health --once in testdata/screens")

// TestScreens compares one round of checks on terminals of 80 and of 120 columns.
func TestScreens(t *testing.T) {
	t.Parallel()
	long := "the-longest-name-of-a-service-32"
	report := Report{Checks: []Checked{
		{Service: "web", Backend: "10.0.0.1:80", Type: "tcp", Outcome: health.OK, Seconds: 0.0012},
		{Service: "web", Backend: "10.0.0.2:80", Type: "tcp", Outcome: health.Failed, Seconds: 0.25, Reason: "connection refused"},
		{Service: long, Backend: "[fd00:1111:2222:3333:4444:5555:6666:7777]:8443", Type: "https", Outcome: health.Failed, Seconds: 1, Reason: "status 503 Service Unavailable"},
	}}
	screentest.Each(t, "../../testdata/screens", *update, map[string]screentest.Shown{
		"health-once":  {Why: "One round of checks, with a long name and a long address.", Text: report.Text},
		"health-short": {Why: "One round of checks of short names.", Text: Report{Checks: report.Checks[:2]}.Text},
	})
}
