package generation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// two returns a store with Article as generation 1 and Smaller as 2, which is current.
func two(t *testing.T) generation.Store {
	t.Helper()
	store := generation.Store{Root: hosttest.Root(t)}
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Article, hosttest.Smaller)
	return store
}

// TestHolds asks for the bytes of each file, whatever the manifest says.
func TestHolds(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store, same := two(t), hosttest.Generation(t, rules.NFT, hosttest.Smaller)
	if number, held := store.Holds(same); number != 2 || !held {
		t.Errorf("%d, %v", number, held)
	}
	for name, other := range map[string]generation.Generation{
		"another config":  hosttest.Generation(t, rules.NFT, hosttest.Article),
		"another variant": hosttest.Generation(t, rules.Legacy, hosttest.Smaller),
	} {
		if number, held := store.Holds(other); held {
			t.Errorf("%s is generation %d", name, number)
		}
	}
	for _, name := range hosttest.Members()[1:] {
		path := store.Path(paths.Generations, "2", name)
		data, err := os.ReadFile(path)
		hosttest.Must(t, err)
		hosttest.Must(t, os.WriteFile(path, append(data, '\n'), 0o600))
		if _, held := store.Holds(same); held {
			t.Errorf("with a line more in %s it is the same", name)
		}
		hosttest.Must(t, os.WriteFile(path, data, 0o600))
	}
}

// TestGenerationComesBack reads what was written, and looks who may read it beside root.
func TestGenerationComesBack(t *testing.T) {
	if !netnstest.Isolate(t) { // as whose files nobody else's count
		return
	}
	store := generation.Store{Root: hosttest.Root(t)}
	if _, err := store.CurrentNumber(); !errors.Is(err, generation.ErrNone) {
		t.Errorf("before the first: %v", err)
	}
	hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Article, hosttest.Smaller)
	if number, err := store.CurrentNumber(); number != 2 || err != nil {
		t.Errorf("current is %d, %v", number, err)
	}
	if numbers, err := store.Numbers(); !slices.Equal(numbers, []int{2, 1}) || err != nil {
		t.Errorf("numbers %d, %v", numbers, err)
	}
	if err := store.SetCurrent(3); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that was not written is made current: %v", err)
	}
	for number, toml := range map[int]string{1: hosttest.Article, 2: hosttest.Smaller} {
		want := hosttest.Generation(t, rules.NFT, toml)
		want.Number = number
		got, err := store.Read(number)
		hosttest.Must(t, err)
		if len(got.SHA256) != len(hosttest.Members())-1 {
			t.Errorf("checksums: %v", got.SHA256)
		}
		got.SHA256 = nil
		if diff := cmp.Diff(want.Manifest, got.Manifest); diff != "" || string(got.Config.Main()) != toml {
			t.Errorf("manifest (-want +got):\n%s, config %q", diff, got.Config)
		}
		hosttest.WantSame(t, "what it balances", string(want.Services), string(got.Services))
		for _, f := range rules.Families() {
			hosttest.WantSame(t, f.String(), string(want.Tables.Of(f).Text()), string(got.Tables.Of(f).Text()))
		}
	}
	hosttest.Must(t, filepath.WalkDir(store.Path(paths.State), func(path string, entry fs.DirEntry, err error) error {
		hosttest.Must(t, err)
		info, err := entry.Info()
		hosttest.Must(t, err)
		if mode := info.Mode(); !entry.IsDir() && mode.Type() != fs.ModeSymlink && mode != 0o600 || entry.IsDir() && mode.Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, mode)
		}
		return nil
	}))
}

// TestHighestNumber refuses numbers of generations that JSON readers would round, or that would overflow: in
// the names of directories, behind current, and in the record of the last trial.
func TestHighestNumber(t *testing.T) {
	if !netnstest.Isolate(t) { // as whose files nobody else's count
		return
	}
	for _, c := range []struct {
		number string
		good   bool
		next   int // 0: there is none
	}{
		{"9007199254740991", true, 1 << 53},
		{"9007199254740992", true, 0},
		{"9007199254740993", false, 3},
		{"9223372036854775807", false, 3},
		{"9223372036854775808", false, 3},
		{"18446744073709551617", false, 3},
	} {
		store := two(t)
		hosttest.Must(t, atomicfile.MkdirAll(store.Path(paths.Run), 0o700))
		hosttest.Must(t, os.WriteFile(store.Path(paths.Run, "last-tried"), []byte(c.number+"\n"), 0o600))
		wantNext(t, store, "last-tried is "+c.number, c.next)

		store = two(t)
		hosttest.Must(t, os.Rename(store.Path(paths.Generations, "2"), store.Path(paths.Generations, c.number)))
		hosttest.Must(t, atomicfile.Symlink("generations/"+c.number, store.Path(paths.Current)))
		if number, err := store.CurrentNumber(); (err == nil) != c.good {
			t.Errorf("current leads to %s: %d, %v", c.number, number, err)
		}
		if !c.good { // and 1 is the newest
			c.next = 2
		}
		wantNext(t, store, "current is "+c.number, c.next)
	}
}

// wantNext compares the number that the next generation gets, 0 for none, with what is wanted.
func wantNext(t *testing.T, store generation.Store, when string, want int) {
	t.Helper()
	number, err := store.Write(hosttest.Generation(t, rules.NFT, hosttest.Article))
	if number != want || (err != nil) != (want == 0) {
		t.Errorf("%s: the next one is %d, %v; not %d", when, number, err, want)
	}
}

// TestCutAndAltered cuts each file at many places, and alters a byte at many. A
// manifest has no checksum of its own: of one that is read all the same, whatever
// reaches the kernel must be right.
func TestCutAndAltered(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	store := two(t)
	good, err := store.Read(2)
	hosttest.Must(t, err)
	for _, name := range hosttest.Members() {
		path := store.Path(paths.Generations, "2", name)
		whole, err := os.ReadFile(path)
		hosttest.Must(t, err)
		step := max(len(whole)/41, 1)
		for at := 0; at < len(whole); at += step {
			for what, content := range map[string][]byte{
				"cut":     whole[:at],
				"altered": slices.Concat(whole[:at], []byte{whole[at] ^ 1}, whole[at+1:]),
				"capital": slices.Concat(whole[:at], []byte{whole[at] ^ 0x20}, whole[at+1:]),
				"longer":  slices.Concat(whole[:at], []byte("\n"), whole[at:]),
			} {
				hosttest.Must(t, os.WriteFile(path, content, 0o600))
				got, err := store.Read(2)
				if err == nil && (name != "manifest" || what == "cut" || !alike(good, got)) {
					t.Errorf("%s %s at %d is good", name, what, at)
				}
			}
		}
		hosttest.Must(t, os.WriteFile(path, whole, 0o600))
		if _, err := store.Read(2); err != nil {
			t.Errorf("%s is whole again: %v", name, err)
		}
	}
}

// alike tells whether two generations are the same to the kernel.
func alike(a, b generation.Generation) bool {
	for _, f := range rules.Families() {
		if !bytes.Equal(a.Tables.Of(f).Text(), b.Tables.Of(f).Text()) {
			return false
		}
	}
	return a.Variant == b.Variant && a.Config.Equal(b.Config)
}

// TestDamagedGeneration has every damage to each file: none is good any more.
func TestDamagedGeneration(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, name := range hosttest.Members() {
		for _, damage := range hosttest.MemberDamages(name) {
			t.Run(name+"/"+damage.Name, func(t *testing.T) {
				store := two(t)
				hosttest.Must(t, damage.Do(store))
				_, err := store.Read(2)
				if err == nil || !strings.HasPrefix(err.Error(), "generation 2 is not good: ") ||
					!strings.Contains(err.Error(), damage.Want) || !strings.Contains(err.Error(), name) {
					t.Errorf("want %q of %s in: %v", damage.Want, name, err)
				}
				if _, err := store.Read(1); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestOtherOwner has files, and directories above them, that belong to another user than
// root.
func TestOtherOwner(t *testing.T) {
	if !netnstest.IsolateAsRoot(t) {
		return
	}
	second := filepath.Join(paths.Generations, "2")
	places := []string{"", "var", paths.State, paths.Generations, second}
	for _, name := range hosttest.Members() {
		places = append(places, filepath.Join(second, name))
	}
	for _, place := range places {
		t.Run("/"+place, func(t *testing.T) {
			store := two(t)
			hosttest.Must(t, os.Chown(store.Path(place), 1234, 0))
			if _, err := store.Read(2); err == nil || !strings.Contains(err.Error(), "belongs to user 1234, not to root: chown root ") {
				t.Errorf("%v", err)
			}
			_, err := store.Read(1)
			if alone := strings.HasPrefix(place, second); alone != (err == nil) {
				t.Errorf("generation 1: %v", err)
			}
		})
	}
}

// TestOldOnes has more generations on disk than are kept, all of them numbered below the newest
// ten: they count for nothing, so that however many there are, boot looks at ten.
func TestOldOnes(t *testing.T) {
	if !netnstest.Isolate(t) { // as whose files nobody else's count
		return
	}
	store := generation.Store{Root: hosttest.Root(t)}
	for range generation.Keep + 1 {
		hosttest.WriteCurrent(t, store, rules.NFT, hosttest.Article)
	}
	hosttest.Must(t, os.Mkdir(store.Path(paths.Generations, "12"), 0o700)) // about to be current
	hosttest.Must(t, os.Mkdir(store.Path(paths.Generations, "notes"), 0o700))
	newest := []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2}
	if numbers, err := store.Numbers(); !slices.Equal(numbers, newest) || err != nil {
		t.Errorf("numbers %d, %v", numbers, err)
	}
	if _, err := store.Find(1); err == nil || !strings.Contains(err.Error(), "generation 1 does not exist") {
		t.Errorf("%v", err)
	}
	for _, number := range newest {
		if good, _, err := store.Boot(); err != nil || good.Number != number {
			t.Errorf("boot: %d, %v; want %d", good.Number, err, number)
		}
		hosttest.Must(t, os.Remove(store.Path(paths.Generations, fmt.Sprint(number), "manifest")))
	}
	if good, _, err := store.Boot(); err == nil {
		t.Errorf("boot looks further than at the newest ten: %d", good.Number)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	hosttest.Must(t, store.Prune(ended))
	hosttest.Must(t, store.Prune(t.Context()))
	entries, err := os.ReadDir(store.Path(paths.Generations))
	if err != nil || len(entries) != len(newest)+2 {
		t.Errorf("%v, %v", entries, err)
	}
}
