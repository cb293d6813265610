package config

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSettings wants every key that a service may have, but its name and its backends, to be
// a setting: those of the file, and those of the type.
func TestSettings(t *testing.T) {
	t.Parallel()
	var compared []string
	for _, setting := range (Service{Backends: make([]Backend, 1)}).Settings() {
		compared = append(compared, setting.Key)
	}
	want := slices.DeleteFunc(names(serviceKeys), func(name string) bool { return name == "name" || name == "backends" })
	slices.Sort(want)
	slices.Sort(compared)
	if diff := cmp.Diff(want, compared); diff != "" {
		t.Errorf("-keys +compared:\n%s", diff)
	}
	if fields := reflect.TypeFor[Service]().NumField(); fields != len(compared)+2 {
		t.Errorf("a service has %d fields, %d of which are compared, beside name and backends", fields, len(compared))
	}
}
