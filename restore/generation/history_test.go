package generation_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// TestHistory damages the current one of three generations, and then another. A fourth
// one never became current.
func TestHistory(t *testing.T) {
	if !netnstest.Isolate(t) { // as whose files nobody else's count
		return
	}
	store := two(t)
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Article)
	_, err := store.Write(hosttest.Generation(t, rules.NFT, hosttest.Smaller))
	hosttest.Must(t, err)
	type marks struct {
		number              int
		good, current, boot bool
	}
	wantMarks := func(want ...marks) {
		t.Helper()
		entries, err := store.History()
		hosttest.Must(t, err)
		if len(entries) != len(want) {
			t.Fatalf("%d entries, not %d", len(entries), len(want))
		}
		for i, e := range entries {
			if got := (marks{e.Number, e.Problem == nil, e.IsCurrent, e.IsBoot}); got != want[i] {
				t.Errorf("got %+v, want %+v (%v)", got, want[i], e.Problem)
			}
			if (e.Problem == nil) != (len(e.Config) > 0) || e.Command != "apply" {
				t.Errorf("generation %d: %q by %q", e.Number, e.Config, e.Command)
			}
		}
	}
	wantMarks(marks{3, true, true, true}, marks{2, true, false, false}, marks{1, true, false, false})
	hosttest.Must(t, os.Truncate(store.Path(paths.Generations, "3", "rules.v4"), 0))
	wantMarks(marks{3, false, true, false}, marks{2, true, false, true}, marks{1, true, false, false})
	hosttest.Must(t, os.Chmod(store.Path(paths.Generations, "2", "rules.v6"), 0o666))
	wantMarks(marks{3, false, true, false}, marks{2, false, false, false}, marks{1, true, false, true})
}

// TestFind asks for each of two generations by number, as the current one, and as
// the one before it.
func TestFind(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := two(t)
	wantNumber := func(what string, want int, find func() (generation.Generation, error)) {
		t.Helper()
		got, err := find()
		if got.Number != want || (err == nil) != (want != 0) {
			t.Errorf("%s: generation %d, not %d; %v", what, got.Number, want, err)
		}
	}
	find := func(number int) func() (generation.Generation, error) {
		return func() (generation.Generation, error) { return store.Find(number) }
	}
	wantNumber("the first", 1, find(1))
	wantNumber("the second", 2, find(2))
	wantNumber("one that there is not", 0, find(3))
	wantNumber("the current one", 2, store.Current)
	wantNumber("the one before", 1, store.Previous)
	hosttest.Must(t, os.RemoveAll(store.Path(paths.Generations, "1")))
	wantNumber("none before", 0, store.Previous)
	hosttest.Must(t, os.Truncate(store.Path(paths.Generations, "2", "manifest"), 0))
	wantNumber("one that is not good", 0, find(2))
	wantNumber("a current one that is not good", 0, store.Current)
	hosttest.Must(t, os.Remove(store.Path(paths.Current)))
	wantNumber("none is current", 0, store.Current)
	wantNumber("none is current, none before", 0, store.Previous)
}

// TestEarlier passes over what is the same and what is not good.
func TestEarlier(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := two(t)
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Smaller)
	current, err := store.Current()
	hosttest.Must(t, err)
	if number := store.Earlier(current); number != 1 {
		t.Errorf("before %d: %d", current.Number, number)
	}
	hosttest.Must(t, os.Truncate(store.Path(paths.Generations, "1", "rules.v4"), 0))
	if number := store.Earlier(current); number != 0 {
		t.Errorf("with 1 damaged: %d", number)
	}
}

// TestPreviousIsDamaged names the next one that is good, or says that there is none.
func TestPreviousIsDamaged(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := two(t)
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Article)
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Smaller)
	for _, c := range []struct {
		damaged int
		want    string // how the error ends
	}{
		{3, ": the newest good one before it is 2: natspread rollback 2"},
		{2, ": the newest good one before it is 1: natspread rollback 1"},
		{1, ", and none before it is"},
	} {
		hosttest.Must(t, os.Truncate(store.Path(paths.Generations, fmt.Sprint(c.damaged), "rules.v4"), 0))
		_, err := store.Previous()
		if err == nil || !strings.HasPrefix(err.Error(), "generation 3 is not good: ") || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("with %d damaged: %v", c.damaged, err)
		}
	}
}
