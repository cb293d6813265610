package config_test

import (
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/test/configtest"
)

// TestShared reads any config with pools and defaults: it is the same config.
func TestShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := configtest.Config().Draw(t, "config")
		want, err := config.Parse("f.toml", configtest.Text(drawn))
		if err != nil {
			t.Fatal(err)
		}
		text := configtest.SharedText(drawn)
		if got, err := config.Parse("f.toml", text); err != nil || !got.Equivalent(want) {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
