package generation_test

import (
	"os"
	"testing"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore/generation"
)

// TestStillLoaded believes only what was recorded of the same generation, variant, ruleset
// and namespace, and keeps nothing where any of these is not known.
func TestStillLoaded(t *testing.T) {
	store := generation.Store{Root: hosttest.Root(t)}
	hosttest.Must(t, atomicfile.MkdirAll(store.Path(paths.Run), 0o700))
	known := generation.Loaded{Generation: 7, Variant: rules.NFT, Ruleset: 3, Namespace: "boot 1"}
	if store.StillLoaded(known) {
		t.Error("something is believed before anything is recorded")
	}
	store.RecordLoaded(known)
	if !store.StillLoaded(known) {
		t.Error("what was just recorded is not believed")
	}
	other := map[string]func(*generation.Loaded){
		"another generation": func(l *generation.Loaded) { l.Generation = 8 },
		"another variant":    func(l *generation.Loaded) { l.Variant = rules.Legacy },
		"another ruleset":    func(l *generation.Loaded) { l.Ruleset = 4 },
		"another namespace":  func(l *generation.Loaded) { l.Namespace = "boot 2" },
		"no ruleset":         func(l *generation.Loaded) { l.Ruleset = 0 },
		"no namespace":       func(l *generation.Loaded) { l.Namespace = "" },
	}
	for name, change := range other {
		now := known
		change(&now)
		if store.StillLoaded(now) {
			t.Errorf("%s is believed", name)
		}
	}
	record := store.Path(paths.Run, "loaded")
	hosttest.Must(t, os.WriteFile(record, []byte("{"), 0o600))
	if store.StillLoaded(known) {
		t.Error("a cut record is believed")
	}
	for _, name := range []string{"no ruleset", "no namespace"} {
		store.RecordLoaded(known)
		unknown := known
		other[name](&unknown)
		store.RecordLoaded(unknown)
		if _, err := os.Lstat(record); err == nil || store.StillLoaded(unknown) {
			t.Errorf("%s: what is not known is kept", name)
		}
	}
}

// TestRecordLoadedNowhere has no place for the record: nothing is believed, and nothing
// fails.
func TestRecordLoadedNowhere(t *testing.T) {
	store := generation.Store{Root: hosttest.Root(t)}
	known := generation.Loaded{Generation: 7, Variant: rules.NFT, Ruleset: 3, Namespace: "boot 1"}
	store.RecordLoaded(known)
	if store.StillLoaded(known) {
		t.Error("it is believed")
	}
}
