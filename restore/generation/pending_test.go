package generation_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// TestPendingElsewhere finds no trial where one waits in another network namespace, and finds
// it in its own, whatever id of the boot the process is shown.
func TestPendingElsewhere(t *testing.T) {
	for _, c := range []struct {
		recorded, here string
		found          bool
	}{
		{"boot 7", "boot 7", true},
		{"boot 7", "boot 17", false},
		{"boot 7", "tmpfs 8", false},
		{"boot 7", "another 7", true},
		{"", "boot 7", true},
		{"boot 7", "", true},
	} {
		store := generation.Store{Root: t.TempDir(), Namespace: c.recorded}
		if err := os.MkdirAll(store.Path(paths.Run), 0o700); err != nil {
			t.Fatal(err)
		}
		pending := generation.Pending{Number: 2, Variant: rules.NFT, Namespace: c.recorded, Until: generation.SinceBoot() + time.Hour}
		if err := store.RecordPending(pending); err != nil {
			t.Fatal(err)
		}
		store.Namespace = c.here
		got, err := store.Pending()
		if found := err == nil && got.Number == 2; found != c.found || !c.found && !errors.Is(err, generation.ErrNothingPending) {
			t.Errorf("recorded in %q, looked for in %q: %+v, %v", c.recorded, c.here, got, err)
		}
		if err := store.RefusePending(); err == nil || strings.Contains(err.Error(), "in another network namespace") == c.found {
			t.Errorf("recorded in %q, refused in %q: %v", c.recorded, c.here, err)
		}
		pending.Until = generation.SinceBoot() - time.Hour
		if err := store.RecordPending(pending); err != nil {
			t.Fatal(err)
		}
		if err := store.RefusePending(); (err != nil) != c.found {
			t.Errorf("over in %q, refused in %q: %v", c.recorded, c.here, err)
		}
	}
}
