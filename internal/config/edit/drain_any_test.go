package edit_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/config/edit"
	"natspread/internal/configfiles"
	"natspread/internal/test/configtest"
)

// TestDrainedAny drains any backend of any config: nothing else is another one, and
// Undrained makes the config what it was.
func TestDrainedAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		text := string(configtest.Text(cfg))
		if rapid.Bool().Draw(t, "short") {
			text = strings.ReplaceAll(text, ", weight = 1 }", " }")
		}
		service := rapid.SampledFrom(cfg.Services).Draw(t, "service")
		backend := rapid.SampledFrom(service.Backends).Draw(t, "backend")
		got, found, err := edit.SetDrain(configfiles.Alone("f.toml", []byte(text)), service.Name, backend.String(), true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || found[0].Backend != backend || found[0].Service != service.Name {
			t.Fatalf("drained %+v, not %+v", found, backend)
		}
		if lines, now := strings.Split(text, "\n"), strings.Split(string(got.Main()), "\n"); len(lines) != len(now) || differing(lines, now) > 1 {
			t.Fatalf("was\n%s\nis\n%s", text, got.Main())
		}
		drained, err := config.ParseSet(got)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(cfg.Services, func(s config.Service) bool { return s.Name == service.Name })
		place := slices.Index(service.Backends, backend)
		if !drained.Services[at].Backends[place].Drained() {
			t.Fatalf("not drained in\n%s", got)
		}
		if backend.Weight == 0 {
			return // its new weight may be too much for the service
		}
		back, _, err := edit.SetDrain(got, service.Name, backend.String(), false, func(string, config.Backend) int { panic("not asked") })
		if err != nil {
			t.Fatal(err)
		}
		want, err := config.Parse("f.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want.Services[at].Backends[place].Drain = false
		if is, err := config.ParseSet(back); err != nil || !is.Equivalent(want) {
			t.Fatalf("%v: was\n%s\nis\n%s", err, text, back)
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
