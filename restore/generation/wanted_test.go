package generation_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// wanted is what a test asks of generation.Wanted: numbers, 0 for none.
type wanted struct {
	generation, boot, current, pending int
	fallback, unknown                  string // in the error; "" for none
}

// wantWanted compares what is wanted with that.
func wantWanted(t *testing.T, store generation.Store, want wanted) {
	t.Helper()
	got := store.Wanted()
	pending := 0
	if got.Pending != nil {
		pending = got.Pending.Number
	}
	if got.Generation.Number != want.generation || got.Boot.Number != want.boot || got.Current != want.current || pending != want.pending {
		t.Errorf("generation %d, boot %d, current %d, pending %d; want %+v", got.Generation.Number, got.Boot.Number, got.Current, pending, want)
	}
	wantSays(t, "the fallback", got.Fallback, want.fallback)
	wantSays(t, "what is unknown", got.Unknown, want.unknown)
	for _, one := range []generation.Generation{got.Generation, got.Boot} {
		if one.Number == 0 && !one.Tables.Equal(rules.NoTables()) || one.Number != 0 && one.Tables.Equal(rules.NoTables()) {
			t.Errorf("generation %d has the tables of another", one.Number)
		}
	}
}

// wantSays asks for an error with some words in it, or with "" for none.
func wantSays(t *testing.T, what string, err error, words string) {
	t.Helper()
	if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want %q", what, err, words)
	}
}

// try writes a config as a generation that waits to be confirmed.
func try(t *testing.T, store generation.Store, toml string) generation.Pending {
	t.Helper()
	number, err := store.Write(hosttest.Generation(t, rules.NFT, toml))
	hosttest.Must(t, err)
	pending := generation.Pending{Number: number, Until: generation.SinceBoot() + time.Hour, Loaded: true, Variant: rules.NFT}
	hosttest.Must(t, store.RecordPending(pending))
	return pending
}

// TestWanted answers for a store in every state what the kernel is to hold.
func TestWanted(t *testing.T) {
	if !netnstest.Isolate(t) { // as whose files nobody else's count
		return
	}
	spoil := func(t *testing.T, store generation.Store, number, name string) {
		hosttest.Must(t, os.Truncate(store.Path(paths.Generations, number, name), 0))
	}
	none := generation.ErrNone.Error()
	for _, c := range []struct {
		name    string
		applied []string
		then    func(t *testing.T, store generation.Store)
		want    wanted
	}{
		{"nothing applied", nil, nil, wanted{fallback: none}},
		{"current is good", []string{hosttest.Article, hosttest.Smaller}, nil, wanted{generation: 2, boot: 2, current: 2}},
		{"written, and never current", []string{hosttest.Article}, func(t *testing.T, store generation.Store) {
			_, err := store.Write(hosttest.Generation(t, rules.NFT, hosttest.Smaller))
			hosttest.Must(t, err)
		}, wanted{generation: 1, boot: 1, current: 1}},
		{"current is damaged, an older one is good", []string{hosttest.Article, hosttest.Smaller}, func(t *testing.T, store generation.Store) {
			spoil(t, store, "2", "rules.v4")
		}, wanted{generation: 1, boot: 1, current: 2, fallback: "generation 2 is not good"}},
		{"the services of current are damaged", []string{hosttest.Article, hosttest.Smaller}, func(t *testing.T, store generation.Store) {
			spoil(t, store, "2", "services")
		}, wanted{generation: 1, boot: 1, current: 2, fallback: "services: its sha256 is not the one in the manifest"}},
		{"all are damaged", []string{hosttest.Article, hosttest.Smaller}, func(t *testing.T, store generation.Store) {
			spoil(t, store, "1", "manifest")
			spoil(t, store, "2", "manifest")
		}, wanted{current: 2, fallback: "no good generation is left: generation 2 is not good"}},
		{"the link current is missing", []string{hosttest.Article, hosttest.Smaller}, func(t *testing.T, store generation.Store) {
			hosttest.Must(t, os.Remove(store.Path(paths.Current)))
		}, wanted{generation: 2, boot: 2, fallback: "current is missing"}},
		{"one is pending", []string{hosttest.Article}, func(t *testing.T, store generation.Store) {
			try(t, store, hosttest.Smaller)
		}, wanted{generation: 2, boot: 1, current: 1, pending: 2}},
		{"the first one is pending", nil, func(t *testing.T, store generation.Store) {
			try(t, store, hosttest.Smaller)
		}, wanted{generation: 1, pending: 1, fallback: none}},
		{"the pending one is damaged", []string{hosttest.Article}, func(t *testing.T, store generation.Store) {
			try(t, store, hosttest.Smaller)
			spoil(t, store, ".unconfirmed-2", "rules.v6")
		}, wanted{generation: 1, boot: 1, current: 1, pending: 2}},
		{"the pending one is numbered, and not yet current", []string{hosttest.Article}, func(t *testing.T, store generation.Store) {
			try(t, store, hosttest.Smaller)
			hosttest.Must(t, os.Rename(store.Path(paths.Generations, ".unconfirmed-2"), store.Path(paths.Generations, "2")))
		}, wanted{generation: 2, boot: 1, current: 1, pending: 2}},
		{"the pending one is current already", []string{hosttest.Article}, func(t *testing.T, store generation.Store) {
			hosttest.Must(t, store.SetCurrent(try(t, store, hosttest.Smaller).Number))
		}, wanted{generation: 2, boot: 2, current: 2}},
		{"current is damaged, and one is pending", []string{hosttest.Article, hosttest.Smaller}, func(t *testing.T, store generation.Store) {
			spoil(t, store, "2", "rules.v4")
			try(t, store, hosttest.Alone)
		}, wanted{generation: 3, boot: 1, current: 2, pending: 3, fallback: "generation 2 is not good"}},
		{"the record is cut", []string{hosttest.Article}, func(t *testing.T, store generation.Store) {
			try(t, store, hosttest.Smaller)
			hosttest.Must(t, os.Truncate(store.Path(generation.PendingRecord), 10))
		}, wanted{generation: 1, boot: 1, current: 1, unknown: "cannot tell which generation waits to be confirmed"}},
		{"anybody may write the record", []string{hosttest.Article}, func(t *testing.T, store generation.Store) {
			try(t, store, hosttest.Smaller)
			hosttest.Must(t, os.Chmod(store.Path(generation.PendingRecord), 0o666))
		}, wanted{generation: 1, boot: 1, current: 1, unknown: "may be written by its group or by others"}},
		{"the record names another", []string{hosttest.Article}, func(t *testing.T, store generation.Store) {
			pending := try(t, store, hosttest.Smaller)
			pending.Number = 7
			hosttest.Must(t, store.RecordPending(pending))
		}, wanted{generation: 1, boot: 1, current: 1, pending: 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := generation.Store{Root: hosttest.Root(t)}
			hosttest.Must(t, atomicfile.MkdirAll(store.Path(paths.Run), 0o700))
			hosttest.WriteCurrent(t, store, rules.NFT, c.applied...)
			if c.then != nil {
				c.then(t, store)
			}
			wantWanted(t, store, c.want)
		})
	}
}

// TestEndPending makes an end of each trial once, and says which.
func TestEndPending(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := two(t)
	hosttest.Must(t, atomicfile.MkdirAll(store.Path(paths.Run), 0o700))
	if notes := store.EndPending(); len(notes) != 0 {
		t.Errorf("nothing waits: %q", notes)
	}
	try(t, store, hosttest.Alone)
	if notes := store.EndPending(); len(notes) != 1 || notes[0] != "generation 3 was not confirmed, and is gone" {
		t.Errorf("one waits: %q", notes)
	}
	wantWanted(t, store, wanted{generation: 2, boot: 2, current: 2})
	if number, err := store.Write(hosttest.Generation(t, rules.NFT, hosttest.Alone)); err != nil || number != 4 {
		t.Errorf("its number is given again: %d, %v", number, err)
	}
}
