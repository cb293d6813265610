package config_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/test/configtest"
)

// TestDrainedAny drains any backend of any config: only its weight is another one.
func TestDrainedAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		text := string(configtest.Text(cfg))
		if rapid.Bool().Draw(t, "short") {
			text = strings.ReplaceAll(text, ", weight = 1 }", " }")
		}
		service := rapid.SampledFrom(cfg.Services).Draw(t, "service")
		backend := rapid.SampledFrom(service.Backends).Draw(t, "backend")
		got, found, err := config.Drained("f.toml", []byte(text), service.Name, backend.String())
		if err != nil {
			t.Fatal(err)
		}
		if found.Addr != backend.Addr || found.Port != backend.Port || found.Weight != 0 {
			t.Fatalf("drained %+v, not %+v", found, backend)
		}
		if lines, now := strings.Split(text, "\n"), strings.Split(string(got), "\n"); len(lines) != len(now) || differing(lines, now) > 1 {
			t.Fatalf("was\n%s\nis\n%s", text, got)
		}
	})
}

// differing counts the lines that are not the same.
func differing(a, b []string) int {
	n := 0
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}
