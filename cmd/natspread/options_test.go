package main

import (
	"testing"
	"time"
)

// What is printed is what can be typed again.
func TestTimes(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"1s": "1s", "60s": "1m", "90s": "1m30s", "5m": "5m", "60m": "1h", "1h0m10s": "1h0m10s", "1.5h": "1h30m", "24h": "24h", "10m": "10m", "20s": "20s",
	} {
		got, err := timeOf("wait", typed)
		if err != nil || short(got) != want {
			t.Errorf("%s: %s, not %s, %v", typed, short(got), want, err)
		}
		if again, err := time.ParseDuration(short(got)); err != nil || again != got {
			t.Errorf("%s: %v, %v", typed, again, err)
		}
	}
	for _, typed := range []string{"60", "x", "-5s", "0s", "999ms", "1500ms", "24h1s", "1d"} {
		if got, err := timeOf("wait", typed); exitCode(err) != exitUsage {
			t.Errorf("%s: %v, %v", typed, got, err)
		}
	}
}
