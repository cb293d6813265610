package compare

import (
	"reflect"
	"strings"
	"testing"

	"natspread/internal/config"
)

// TestSettings wants every key that a service may have, but its name and its backends, to be
// a setting: those of the file, and those of the type.
func TestSettings(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{"name": true, "backends": true}
	const inListen = 1 // ports, which has no field but Listen.To
	for _, setting := range settings(config.Service{Backends: make([]config.Backend, 1)}) {
		_, err := config.Parse("test", []byte("[[service]]\n"+setting.key+" = 1979-05-27\n"))
		if err == nil || strings.Contains(err.Error(), "no such key") || seen[setting.key] {
			t.Errorf("%s is no key, or twice a setting: %v", setting.key, err)
		}
		seen[setting.key] = true
	}
	fields := 0
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Service]()) {
		if !field.Anonymous {
			fields++
		}
	}
	if fields+inListen != len(seen) {
		t.Errorf("a service has %d fields, %d of which are compared, with name and backends", fields, len(seen))
	}
}
