package generation_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// here names the network namespace of these tests' records.
const here = "a-boot 7"

// overlaid returns a store in which generation 2 is current, and that generation.
func overlaid(t *testing.T) (generation.Store, generation.Generation) {
	t.Helper()
	store := two(t)
	store.Namespace = here
	hosttest.Must(t, atomicfile.MkdirAll(store.Path(paths.Run), 0o700))
	base, err := store.Current()
	hosttest.Must(t, err)
	return store, base
}

// less are tables with a backend of each family out of those of Smaller.
func less(t *testing.T) rules.Tables {
	t.Helper()
	return hosttest.Tables(t, strings.NewReplacer(`, "10.0.0.2:80"`, "", `, "[fd00::2]:80"`, "").Replace(hosttest.Smaller))
}

// put writes a record and says that its rules are loaded.
func put(t *testing.T, store generation.Store, base generation.Generation, tables rules.Tables, note string) {
	t.Helper()
	swap, err := store.WriteOverlay(base, tables, []byte(note))
	hosttest.Must(t, err)
	hosttest.Must(t, swap.Commit())
}

// wantRecord asks for the overlay of a generation, and what it is wanted for.
func wantRecord(t *testing.T, store generation.Store, tables rules.Tables, note string, loading bool) {
	t.Helper()
	wanted := store.Wanted()
	if wanted.Overlay == nil || wanted.Overlay.Loading != loading || wanted.Overlay.Sum == "" || wanted.Overlay.Sum != store.OverlaySum() {
		t.Fatalf("%+v", wanted.Overlay)
	}
	if !wanted.Tables().Equal(tables) || string(wanted.Note()) != note || wanted.Overlay.Base != wanted.Generation.Number {
		t.Errorf("note %q, base %d, or other tables", wanted.Note(), wanted.Overlay.Base)
	}
}

// wantNone asks that a generation's own tables are wanted, and whether there is a record.
func wantNone(t *testing.T, store generation.Store, base generation.Generation, present bool) {
	t.Helper()
	overlay, there := store.Overlay(base)
	if wanted := store.Wanted(); overlay != nil || there != present || wanted.Overlay != nil || wanted.Note() != nil || !wanted.Tables().Equal(wanted.Generation.Tables) {
		t.Errorf("%+v, there: %v", overlay, there)
	}
	if (store.OverlaySum() != "") != present {
		t.Errorf("its sum is %q", store.OverlaySum())
	}
}

// TestOverlayComesBack reads what was written, through every way that a load can go.
func TestOverlayComesBack(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store, base := overlaid(t)
	wantNone(t, store, base, false)
	hosttest.Must(t, store.DropOverlay().Commit())

	swap, err := store.WriteOverlay(base, less(t), []byte("first"))
	hosttest.Must(t, err)
	wantRecord(t, store, less(t), "first", true)
	hosttest.Must(t, swap.Revert())
	wantNone(t, store, base, false)

	put(t, store, base, less(t), "first")
	wantRecord(t, store, less(t), "first", false)
	first := store.OverlaySum()
	swap, err = store.WriteOverlay(base, base.Tables, []byte("second"))
	hosttest.Must(t, err)
	wantRecord(t, store, base.Tables, "second", true)
	if swap.Sum == first || swap.Sum != store.OverlaySum() {
		t.Errorf("the sums are %s and %s", first, swap.Sum)
	}
	hosttest.Must(t, swap.Revert())
	wantRecord(t, store, less(t), "first", false)
	put(t, store, base, base.Tables, "second")
	wantRecord(t, store, base.Tables, "second", false)
	put(t, store, base, less(t), "")
	wantRecord(t, store, less(t), "", false)

	drop := store.DropOverlay()
	wantRecord(t, store, less(t), "", true)
	hosttest.Must(t, drop.Revert())
	wantRecord(t, store, less(t), "", false)
	hosttest.Must(t, store.DropOverlay().Commit())
	wantNone(t, store, base, false)
	if entries, err := os.ReadDir(store.Path(paths.Run)); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestOverlayIsSmall holds only the chains that differ.
func TestOverlayIsSmall(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store, base := overlaid(t)
	put(t, store, base, less(t), "")
	text, err := os.ReadFile(store.Path(paths.Overlay, "rules.v4"))
	if err != nil || !bytes.Contains(text, []byte("-A NATSPREAD-web ")) || bytes.Contains(text, []byte("-A NATSPREAD-PRE ")) {
		t.Errorf("%s, %v", text, err)
	}
	put(t, store, base, base.Tables, "")
	if _, err := os.Stat(store.Path(paths.Overlay, "rules.v4")); !os.IsNotExist(err) {
		t.Errorf("of no chain: %v", err)
	}
}

// TestOverlayOfWhom counts for its own generation, boot and network namespace only, and is
// refused where these cannot be told.
func TestOverlayOfWhom(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store, base := overlaid(t)
	put(t, store, base, less(t), "")
	for _, namespace := range []string{"", "another-boot 7", "a-boot 8"} {
		other := store
		other.Namespace = namespace
		wantNone(t, other, base, true)
	}
	first, err := store.Read(1)
	hosttest.Must(t, err)
	if overlay, present := store.Overlay(first); overlay != nil || !present {
		t.Errorf("of generation 1: %+v", overlay)
	}
	blind := store
	blind.Namespace = ""
	if _, err := blind.WriteOverlay(base, less(t), nil); !errors.Is(err, generation.ErrNoNamespace) {
		t.Errorf("%v", err)
	}
	wantRecord(t, store, less(t), "", false)
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Article)
	newer, err := store.Current()
	hosttest.Must(t, err)
	wantNone(t, store, newer, true)
}

// TestOverlayOfATrial is that of the generation that waits to be confirmed, and stays when it
// is.
func TestOverlayOfATrial(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store, _ := overlaid(t)
	pending := try(t, store, hosttest.Smaller)
	waiting, err := store.ReadPending(pending.Number)
	hosttest.Must(t, err)
	put(t, store, waiting, less(t), "trial")
	wantRecord(t, store, less(t), "trial", false)
	if !store.StillWanted(waiting) {
		t.Error("the trial is not what is loaded")
	}
	hosttest.Must(t, store.SetCurrent(pending.Number))
	hosttest.Must(t, store.ForgetPending())
	wantRecord(t, store, less(t), "trial", false)
	if !store.StillWanted(waiting) {
		t.Error("what was confirmed is not what is loaded")
	}
}

// TestStillWanted is not fooled by another generation of the same number.
func TestStillWanted(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store, base := overlaid(t)
	if !store.StillWanted(base) {
		t.Error("what is current is not wanted")
	}
	hosttest.Must(t, os.RemoveAll(store.Path(paths.State)))
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Smaller, hosttest.Article)
	if number, err := store.CurrentNumber(); number != base.Number || err != nil || store.StillWanted(base) {
		t.Errorf("generation %d is taken for the one before it, %v", number, err)
	}
}

// TestOverlaySweep removes what a kill left beside the record.
func TestOverlaySweep(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store, base := overlaid(t)
	put(t, store, base, less(t), "")
	_, err := store.WriteOverlay(base, base.Tables, nil) // and no more
	hosttest.Must(t, err)
	wantRecord(t, store, base.Tables, "", true)
	hosttest.Must(t, store.DropOverlay().Revert()) // of a load that failed: nobody knows more than before
	wantRecord(t, store, base.Tables, "", true)
	hosttest.Must(t, os.Mkdir(store.Path(paths.Run, ".overlay-gone"), 0o700))
	store.SweepRun()
	put(t, store, base, less(t), "")
	wantRecord(t, store, less(t), "", false)
	if entries, err := os.ReadDir(store.Path(paths.Run)); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestCountsCompact adds counts up in few lines, however many loads there were.
func TestCountsCompact(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store, base := overlaid(t)
	target := rules.Target{Kind: rules.DNAT, Address: base.Tables.IPv4.Chains[len(base.Tables.IPv4.Chains)-1].Rules[0].Target.Address, Port: 80}
	var many []rules.Count
	for port := range uint16(2000) {
		target.Port = port
		many = append(many, rules.Count{Family: rules.IPv4, Service: "web", Target: target, Packets: 1})
	}
	for range 20 {
		hosttest.Must(t, store.BeginCounts(many))
		hosttest.Must(t, store.EndCounts(true))
	}
	counts, begun := store.Counts()
	if len(counts) != len(many) || begun || store.CountsSize() > 1<<20 {
		t.Errorf("%d counts in %d bytes", len(counts), store.CountsSize())
	}
	for _, count := range counts {
		if count.Packets != 20 {
			t.Fatalf("%+v", count)
		}
	}
}
