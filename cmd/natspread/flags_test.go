package main

import (
	"testing"
	"time"

	"natspread/internal/text"
)

// What is printed of a duration is what can be typed again.
func TestDurations(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"1s": "1s", "60s": "1m", "90s": "1m30s", "5m": "5m", "60m": "1h", "1h0m10s": "1h0m10s", "1.5h": "1h30m", "24h": "24h", "10m": "10m", "20s": "20s",
	} {
		got, err := parse("drain", "web", "10.0.0.1", "--wait", typed)
		if err != nil {
			t.Errorf("%s: %v", typed, err)
			continue
		}
		wait := got.options.(drainOptions).wait
		printed := text.Duration(wait)
		if again, err := time.ParseDuration(printed); err != nil || again != wait || printed != want {
			t.Errorf("%s: %s, not %s; typed again: %v, %v", typed, printed, want, again, err)
		}
	}
	for _, typed := range []string{"60", "x", "-5s", "0s", "999ms", "1500ms", "24h1s", "1d"} {
		if got, err := parse("drain", "web", "10.0.0.1", "--wait", typed); exitCode(err) != exitUsage {
			t.Errorf("%s: %+v, %v", typed, got, err)
		}
	}
}
