package change

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/render"
	"natspread/restore/generation"
)

// newStore returns generations below an empty root, which is root's alone.
func newStore(t *testing.T) generation.Store {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(root, 0o700); err != nil {
		t.Fatal(err)
	}
	return generation.Store{Root: root}
}

// parsed returns the plan of a config that must be good.
func parsed(t *testing.T, text string) Plan {
	t.Helper()
	plan, err := Parse("natspread.toml", configfiles.Alone("natspread.toml", []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// old returns a generation of a config as natspread 0.1 wrote it: it does not say what it
// balances.
func old(t *testing.T, text string) generation.Generation {
	t.Helper()
	return generation.Generation{
		Tables: parsed(t, text).Tables, Config: configfiles.Alone("natspread.toml", []byte(text)),
		Manifest: generation.Manifest{Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "apply", Version: "0.1", Variant: rules.NFT, Proven: true},
	}
}

// current writes a generation and makes it current.
func current(t *testing.T, store generation.Store, g generation.Generation) {
	t.Helper()
	number, err := store.Write(g)
	if err == nil {
		err = store.SetCurrent(number)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// pending writes a generation that waits to be confirmed.
func pending(t *testing.T, store generation.Store, g generation.Generation) {
	t.Helper()
	number, err := store.Write(g)
	if err == nil {
		err = errors.Join(os.MkdirAll(store.Path("run/natspread"), 0o700), store.RecordPending(generation.Pending{Number: number, Until: generation.SinceBoot() + time.Hour}))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestKnownServices tells what those generations balance that do not say so: the one that
// boot loads, and the one that waits to be confirmed.
func TestKnownServices(t *testing.T) {
	other := strings.ReplaceAll(oneService, "10.0.0.1", "10.0.0.2")
	saysSo := func(t *testing.T, text string) generation.Generation {
		g := old(t, text)
		g.Services = parsed(t, text).Request("apply").Services
		return g
	}
	unread := func(t *testing.T) generation.Generation {
		g := old(t, oneService)
		g.Config = configfiles.Alone("natspread.toml", []byte("what natspread 0.1 took\n"))
		return g
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, store generation.Store)
		want map[int]string // by number, the config
	}{
		"nothing applied":      {func(*testing.T, generation.Store) {}, nil},
		"it does not say":      {func(t *testing.T, s generation.Store) { current(t, s, old(t, oneService)) }, map[int]string{1: oneService}},
		"it says so":           {func(t *testing.T, s generation.Store) { current(t, s, saysSo(t, oneService)) }, nil},
		"its config is unread": {func(t *testing.T, s generation.Store) { current(t, s, unread(t)) }, nil},
		"only an older one": {func(t *testing.T, s generation.Store) {
			current(t, s, old(t, oneService))
			current(t, s, saysSo(t, other))
		}, nil},
		"and a pending one": {func(t *testing.T, s generation.Store) {
			current(t, s, old(t, oneService))
			pending(t, s, old(t, other))
		}, map[int]string{1: oneService, 2: other}},
		"only the pending one": {func(t *testing.T, s generation.Store) { pending(t, s, old(t, other)) }, map[int]string{1: other}},
		"the pending one says so": {func(t *testing.T, s generation.Store) {
			current(t, s, old(t, oneService))
			pending(t, s, saysSo(t, other))
		}, map[int]string{1: oneService}},
	} {
		t.Run(name, func(t *testing.T) {
			if !netnstest.Isolate(t) {
				return
			}
			store := newStore(t)
			c.make(t, store)
			got := KnownServices(store)
			if want, numbers := slices.Sorted(maps.Keys(c.want)), slices.Sorted(maps.Keys(got)); !slices.Equal(want, numbers) {
				t.Fatalf("of generations %v, not %v", numbers, want)
			}
			for number, text := range c.want {
				if got, want := rules.EncodeServices(got[number]), parsed(t, text).Request("apply").Services; !bytes.Equal(got, want) {
					t.Errorf("generation %d balances\n%s, not\n%s", number, got, want)
				}
			}
		})
	}
}

// TestRequest asks for all that a generation is made of.
func TestRequest(t *testing.T) {
	plan := parsed(t, oneService)
	request := plan.Request("apply --confirm")
	if !request.Tables.Equal(render.New(plan.Config)) || request.Tables.Of(rules.IPv4).Empty() {
		t.Error("it has other tables than the config")
	}
	services, err := rules.DecodeServices(request.Services)
	if want := render.VirtualServices(plan.Config.Services...); err != nil || len(services) != 1 || !reflect.DeepEqual(services, want) {
		t.Errorf("%+v, not %+v, %v", services, want, err)
	}
	if string(request.Config.Main()) != oneService || request.Command != "apply --confirm" || time.Since(request.Now) > time.Minute || request.DryRun || request.Exclusive != nil {
		t.Errorf("%+v", request)
	}
}

// TestAgain asks for what an older generation is made of, and says what it balances even
// where that one does not.
func TestAgain(t *testing.T) {
	services := parsed(t, oneService).Request("apply").Services
	g := old(t, oneService)
	if request := Again(g, "rollback 1"); !bytes.Equal(request.Services, services) || string(request.Config.Main()) != oneService || request.Command != "rollback 1" || !request.Tables.Equal(g.Tables) {
		t.Errorf("%+v", request)
	}
	g.Services = []byte("kept as it is")
	if request := Again(g, "rollback 1"); string(request.Services) != "kept as it is" {
		t.Errorf("%q", request.Services)
	}
	g.Services, g.Config = nil, configfiles.Alone("natspread.toml", []byte("what natspread 0.1 took\n"))
	if request := Again(g, "rollback 1"); request.Services != nil {
		t.Errorf("%q", request.Services)
	}
}

// TestLoad names the file, or stdin, and tells a config that cannot be read from a wrong one.
func TestLoad(t *testing.T) {
	plan, err := Load("-", strings.NewReader(oneService))
	if err != nil || plan.Name != "stdin" || string(plan.Files.Main()) != oneService || plan.Config.CountBackends() != 1 {
		t.Errorf("%+v, %v", plan, err)
	}
	var unread *UnreadError
	var wrong config.Errors
	if _, err := Load(t.TempDir()+"/missing", nil); !errors.As(err, &unread) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := Load("-", strings.NewReader("x")); !errors.As(err, &wrong) || errors.As(err, &unread) || !strings.HasPrefix(err.Error(), "stdin:1:") {
		t.Errorf("wrong: %v", err)
	}
}
