package restore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// TestFullDisk leaves no room for a generation.
func TestFullDisk(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for what, spoil := range map[string]func(room unix.Statfs_t) string{
			"blocks": func(room unix.Statfs_t) string { return "nr_blocks=" + fmt.Sprint(room.Blocks-room.Bfree+2) },
			"inodes": func(room unix.Statfs_t) string { return "nr_inodes=" + fmt.Sprint(room.Files-room.Ffree+3) },
		} {
			t.Run(what, func(t *testing.T) {
				host := newHost(t, variant)
				hosttest.Must(t, os.MkdirAll(place(host), 0o700))
				hosttest.Must(t, unix.Mount("tmpfs", place(host), "tmpfs", 0, "mode=700"))
				apply(t, host, hosttest.Article)
				before := state(t, host)
				var room unix.Statfs_t
				hosttest.Must(t, unix.Statfs(place(host), &room))
				hosttest.Must(t, unix.Mount("", place(host), "", unix.MS_REMOUNT, spoil(room)))
				_, err := host.Apply(t.Context(), request(t, hosttest.Smaller))
				wantUnchanged(t, host, before, err, nil)
				if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "cannot write generation 2") {
					t.Errorf("%v", err)
				}
				if result, err := host.Restore(t.Context()); err != nil || result.Generation != 1 {
					t.Errorf("restore: %+v, %v", result, err)
				}
				hosttest.Must(t, unix.Mount("", place(host), "", unix.MS_REMOUNT, "nr_blocks=10000,nr_inodes=10000"))
				if result := apply(t, host, hosttest.Smaller); result.Generation != 2 {
					t.Errorf("with room again: %+v", result)
				}
				hosttest.Must(t, unix.Unmount(place(host), unix.MNT_DETACH))
			})
		}
	})
}

// TestOldGenerationsGo keeps the newest ten, of which the current one is the first.
func TestOldGenerationsGo(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.Variant(netnstest.Variants(t)[0]))
	store := generation.Store{Root: host.Root}
	for range 12 {
		hosttest.WriteCurrent(t, store, host.Variant, hosttest.Article)
	}
	want := func(want ...int) {
		t.Helper()
		if numbers, err := store.Numbers(); !slices.Equal(numbers, want) || err != nil {
			t.Errorf("numbers %d, %v; want %d", numbers, err, want)
		}
	}
	if result := apply(t, host, hosttest.Article); result.Generation != 12 || !result.Loaded {
		t.Errorf("%+v", result)
	}
	want(12, 11, 10, 9, 8, 7, 6, 5, 4, 3)
	if result := apply(t, host, hosttest.Alone); result.Generation != 13 {
		t.Errorf("%+v", result)
	}
	want(13, 12, 11, 10, 9, 8, 7, 6, 5, 4)
	hosttest.Must(t, os.Mkdir(place(host, "generations/99x"), 0o700))
	apply(t, host, hosttest.Smaller)
	want(14, 13, 12, 11, 10, 9, 8, 7, 6, 5)
}

// TestOldGenerationsWait has far more than are kept. While it holds the lock, apply removes none
// of them, and Prune, which removes them, needs no lock.
func TestOldGenerationsWait(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	const old = 1000
	host := newHost(t, rules.Variant(netnstest.Variants(t)[0]))
	store := generation.Store{Root: host.Root}
	hosttest.WriteCurrent(t, store, host.Variant, hosttest.Article)
	hosttest.Must(t, os.Rename(place(host, "generations/1"), place(host, "generations/.unconfirmed-1001")))
	for number := range old {
		hosttest.Must(t, os.Mkdir(place(host, "generations", fmt.Sprint(number+1)), 0o700))
	}
	hosttest.Must(t, os.Remove(place(host, "current")))
	hosttest.WriteCurrent(t, store, host.Variant, hosttest.Article)
	count := func() int {
		entries, err := os.ReadDir(place(host, "generations"))
		hosttest.Must(t, err)
		return len(entries)
	}
	for _, toml := range []string{hosttest.Article, hosttest.Article, hosttest.Smaller} {
		before := count()
		if apply(t, host, toml); count() < before {
			t.Errorf("apply leaves %d of %d", count(), before)
		}
	}
	lock, err := os.OpenFile(filepath.Join(host.Root, "run/natspread/lock"), os.O_RDWR, 0)
	hosttest.Must(t, err)
	defer lock.Close()
	hosttest.Must(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	hosttest.Must(t, store.Prune(t.Context()))
	if count() != generation.Keep {
		t.Errorf("%d are left", count())
	}
}

// TestSweptWhenNothingChanges leaves each temporary name that a kill can leave below the root. The
// next apply has nothing else to do, and removes them; what is still being written stays.
func TestSweptWhenNothingChanges(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		run := filepath.Join(host.Root, "run/natspread")
		var left []string
		for _, name := range []string{".loaded", ".pending", ".last-tried", ".net.ipv4.ip_forward", ".net.ipv6.conf.all.forwarding", ".replaced.v4", ".health.json", ".counts"} {
			left = append(left, filepath.Join(run, name+"1234567890123456789"))
		}
		written := filepath.Join(run, ".health.json1234567890123456780")
		for _, path := range append(left, written) {
			hosttest.Must(t, os.WriteFile(path, nil, 0o600))
		}
		writer, err := os.Open(written)
		hosttest.Must(t, err)
		defer writer.Close()
		hosttest.Must(t, unix.Flock(int(writer.Fd()), unix.LOCK_EX))
		for _, path := range []string{filepath.Join(run, ".overlay-gone"), filepath.Join(run, ".overlay-123"), place(host, "generations/.unconfirmed-9"), place(host, "generations/9")} {
			hosttest.Must(t, os.Mkdir(path, 0o700))
			left = append(left, path)
		}
		link := place(host, ".current1234567890123456789")
		hosttest.Must(t, os.Symlink("generations/2", link))
		if result := apply(t, host, hosttest.Article); result.Changed {
			t.Errorf("%+v", result)
		}
		for _, path := range append(left, link) {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s stays: %v", path, err)
			}
		}
		if _, err := os.Lstat(written); err != nil {
			t.Errorf("what is being written is swept: %v", err)
		}
	})
}

// TestKilledRunIsSwept removes what a killed run left, and nothing else.
func TestKilledRunIsSwept(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.Variant(netnstest.Variants(t)[0]))
	apply(t, host, hosttest.Article)
	hosttest.Must(t, os.MkdirAll(place(host, "generations/7"), 0o700)) // about to be current
	hosttest.Must(t, os.MkdirAll(place(host, "generations/.unconfirmed-123"), 0o700))
	hosttest.Must(t, os.WriteFile(place(host, "generations/.unconfirmed-123/rules.v4"), []byte("*nat"), 0o600))
	hosttest.Must(t, os.Symlink("generations/2", place(host, ".current1234567890123456789")))
	stays := []string{"generations/notes", ".notes", "README"}
	for _, name := range stays {
		hosttest.Must(t, os.WriteFile(place(host, name), nil, 0o600))
	}
	if result := apply(t, host, hosttest.Smaller); result.Generation != 2 {
		t.Errorf("%+v", result)
	}
	var found []string
	for _, dir := range []string{".", "generations"} {
		entries, err := os.ReadDir(place(host, dir))
		hosttest.Must(t, err)
		for _, entry := range entries {
			found = append(found, filepath.Join(dir, entry.Name()))
		}
	}
	want := append([]string{"current", "generations", "generations/1", "generations/2"}, stays...)
	slices.Sort(found)
	slices.Sort(want)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
}
