package render

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/test/configtest"
)

// TestCheckIsNoRule takes the checks out of any config: the rules and the services file are
// the same, so no text of a check reaches either.
func TestCheckIsNoRule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		plain := config.Config{}
		for _, service := range cfg.Services {
			service.Check, service.MinUp, service.OnDown = config.Check{}, 0, ""
			plain.Services = append(plain.Services, service)
		}
		if !New(cfg).Equal(New(plain)) || !reflect.DeepEqual(VirtualServices(cfg.Services...), VirtualServices(plain.Services...)) {
			t.Fatal("the rules, or the services, are others without the checks")
		}
	})
}
