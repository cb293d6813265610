package restore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// The files of a generation.
var members = []string{"manifest", "natspread.toml", "rules.v4", "rules.v6"}

// place returns a path below a host's state directory.
func place(host restore.Host, elements ...string) string {
	return filepath.Join(append([]string{host.Root, "var/lib/natspread"}, elements...)...)
}

// write writes a config as a new generation, proven for the host's variant.
func write(t *testing.T, host restore.Host, toml string) int {
	t.Helper()
	number, err := generation.Store{Root: host.Root}.Write(generation(t, host, toml))
	must(t, err)
	return number
}

// generation returns what write writes.
func generation(t *testing.T, host restore.Host, toml string) generation.Generation {
	t.Helper()
	return generation.Generation{
		Tables: tables(t, toml), Config: []byte(toml),
		Manifest: generation.Manifest{
			Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "apply",
			Version: "test", Variant: host.Variant, Proven: true,
		},
	}
}

// two writes the article's balancer as generation 1, and the smaller one as 2,
// which is current.
func two(t *testing.T, host restore.Host) generation.Store {
	t.Helper()
	store := generation.Store{Root: host.Root}
	must(t, store.SetCurrent(write(t, host, article)))
	must(t, store.SetCurrent(write(t, host, smaller)))
	return store
}

func TestGenerationComesBack(t *testing.T) {
	if !netnstest.Isolate(t) { // as whose files nobody else's count
		return
	}
	host := newHost(t, rules.NFT)
	store := generation.Store{Root: host.Root}
	if _, err := store.CurrentNumber(); !errors.Is(err, generation.ErrNone) {
		t.Errorf("before the first: %v", err)
	}
	store = two(t, host)
	if number, err := store.CurrentNumber(); number != 2 || err != nil {
		t.Errorf("current is %d, %v", number, err)
	}
	if numbers, err := store.Numbers(); !slices.Equal(numbers, []int{2, 1}) || err != nil {
		t.Errorf("numbers %d, %v", numbers, err)
	}
	if err := store.SetCurrent(3); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that was not written is made current: %v", err)
	}
	for number, toml := range map[int]string{1: article, 2: smaller} {
		want := generation(t, host, toml)
		want.Generation = number
		got, err := store.Read(number)
		must(t, err)
		if len(got.SHA256) != 3 {
			t.Errorf("checksums: %v", got.SHA256)
		}
		got.SHA256 = nil
		if diff := cmp.Diff(want.Manifest, got.Manifest); diff != "" || string(got.Config) != toml {
			t.Errorf("manifest (-want +got):\n%s, config %q", diff, got.Config)
		}
		for _, f := range rules.Families() {
			wantSame(t, f.String(), string(want.Tables.Of(f).Text()), string(got.Tables.Of(f).Text()))
		}
	}
	must(t, filepath.WalkDir(place(host), func(path string, entry fs.DirEntry, err error) error {
		must(t, err)
		info, err := entry.Info()
		must(t, err)
		if mode := info.Mode(); !entry.IsDir() && mode.Type() != fs.ModeSymlink && mode != 0o600 || entry.IsDir() && mode.Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, mode)
		}
		return nil
	}))
}

// TestCutAndAltered cuts each file at many places, and alters a byte at many. A
// manifest has no checksum of its own: of one that is read all the same, whatever
// reaches the kernel must be right.
func TestCutAndAltered(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.NFT)
	store := two(t, host)
	good, err := store.Read(2)
	must(t, err)
	for _, name := range members {
		path := place(host, "generations/2", name)
		whole, err := os.ReadFile(path)
		must(t, err)
		step := max(len(whole)/41, 1)
		for at := 0; at < len(whole); at += step {
			for what, content := range map[string][]byte{
				"cut":     whole[:at],
				"altered": slices.Concat(whole[:at], []byte{whole[at] ^ 1}, whole[at+1:]),
				"capital": slices.Concat(whole[:at], []byte{whole[at] ^ 0x20}, whole[at+1:]),
				"longer":  slices.Concat(whole[:at], []byte("\n"), whole[at:]),
			} {
				must(t, os.WriteFile(path, content, 0o600))
				got, err := store.Read(2)
				if err == nil && (name != "manifest" || what == "cut" || !alike(good, got)) {
					t.Errorf("%s %s at %d is good", name, what, at)
				}
			}
		}
		must(t, os.WriteFile(path, whole, 0o600))
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
	return a.Variant == b.Variant && bytes.Equal(a.Config, b.Config)
}

// damage is what became of the current generation, which is the second of two.
type damage struct {
	name  string
	do    func(host restore.Host) error
	want  string // in the error, with the name of the file
	whole bool   // generation 2 itself is good, only current is not
}

// memberDamages are those of one file.
func memberDamages(name string) []damage {
	at := func(host restore.Host) string { return place(host, "generations/2", name) }
	instead := func(make func(path string) error) func(host restore.Host) error {
		return func(host restore.Host) error { return errors.Join(os.Remove(at(host)), make(at(host))) }
	}
	return []damage{
		{"missing", instead(func(string) error { return nil }), "no such file", false},
		{"empty", func(host restore.Host) error { return os.Truncate(at(host), 0) }, "", false},
		{"too large", func(host restore.Host) error { return os.Truncate(at(host), 64<<20+1) }, "it is larger than 67108864 bytes", false},
		{"a directory", instead(func(path string) error { return os.Mkdir(path, 0o700) }), "it is no regular file", false},
		{"a FIFO", instead(func(path string) error { return unix.Mkfifo(path, 0o600) }), "it is no regular file", false},
		{"a socket", instead(func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) }), "no such device", false},
		{"a link to a good one", func(host restore.Host) error {
			return errors.Join(os.Rename(at(host), at(host)+".good"), os.Symlink(name+".good", at(host)))
		}, "is a link", false},
		{"a dangling link", instead(func(path string) error { return os.Symlink("nowhere", path) }), "is a link", false},
		{"group-writable", func(host restore.Host) error { return os.Chmod(at(host), 0o620) }, "may be written by its group or by others: chmod go-w ", false},
		{"everyone's", func(host restore.Host) error { return os.Chmod(at(host), 0o602) }, "may be written by its group or by others: chmod go-w ", false},
		{"another generation's", func(host restore.Host) error {
			content, err := os.ReadFile(place(host, "generations/1", name))
			return errors.Join(err, os.WriteFile(at(host), content, 0o600))
		}, map[bool]string{true: "manifest is that of generation 1", false: "its sha256 is not the one in the manifest"}[name == "manifest"], false},
	}
}

// directoryDamages are those of the directories and of current.
func directoryDamages() []damage {
	link := func(target string) func(host restore.Host) error {
		return func(host restore.Host) error {
			return errors.Join(os.Remove(place(host, "current")), os.Symlink(target, place(host, "current")))
		}
	}
	return []damage{
		{"group-writable", func(host restore.Host) error { return os.Chmod(place(host, "generations/2"), 0o770) }, "may be written by its group", false},
		{"a link", func(host restore.Host) error {
			return errors.Join(os.Rename(place(host, "generations/2"), place(host, "moved")), os.Symlink("../moved", place(host, "generations/2")))
		}, "is a link", false},
		{"missing", func(host restore.Host) error { return os.RemoveAll(place(host, "generations/2")) }, "no such file", false},
		{"a file", func(host restore.Host) error {
			return errors.Join(os.RemoveAll(place(host, "generations/2")), os.WriteFile(place(host, "generations/2"), nil, 0o600))
		}, "is a link, or no directory", false},
		{"current dangles", link("generations/9"), "generation 9 is not good", true},
		{"current is garbage", link("\x1b[31m\nno"), `which is no generation`, true},
		{"current is absolute", link("/var/lib/natspread/generations/2"), "which is no generation", true},
		{"current goes round", link("generations/../generations/2"), "which is no generation", true},
		{"current is negative", link("generations/-2"), "which is no generation", true},
		{"current is padded", link("generations/02"), "which is no generation", true},
		{"current is absent", func(host restore.Host) error { return os.Remove(place(host, "current")) }, "current is missing", true},
		{"current is a file", func(host restore.Host) error {
			return errors.Join(os.Remove(place(host, "current")), os.WriteFile(place(host, "current"), []byte("generations/2"), 0o600))
		}, "cannot read", true},
	}
}

// TestDamagedGeneration has every damage to each file: none is good any more.
func TestDamagedGeneration(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, name := range members {
		for _, damage := range memberDamages(name) {
			t.Run(name+"/"+damage.name, func(t *testing.T) {
				host := newHost(t, rules.NFT)
				store := two(t, host)
				must(t, damage.do(host))
				_, err := store.Read(2)
				if err == nil || !strings.HasPrefix(err.Error(), "generation 2 is not good: ") ||
					!strings.Contains(err.Error(), damage.want) || !strings.Contains(err.Error(), name) {
					t.Errorf("want %q of %s in: %v", damage.want, name, err)
				}
				if _, err := store.Read(1); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestRestoreFallsBack loads the newest good generation, and the error says why.
func TestRestoreFallsBack(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, damage := range memberDamages("rules.v6") {
			t.Run(damage.name, func(t *testing.T) { fallsBack(t, variant, damage, "rules.v6") })
		}
		for _, damage := range directoryDamages() {
			t.Run(damage.name, func(t *testing.T) { fallsBack(t, variant, damage, "") })
		}
	})
}

// fallsBack does a damage and restores, on a kernel as it is at boot.
func fallsBack(t *testing.T, variant rules.Variant, damage damage, name string) {
	t.Helper()
	boot(t, variant)
	host := newHost(t, variant)
	two(t, host)
	must(t, damage.do(host))
	good, toml := 1, article
	if damage.whole {
		good, toml = 2, smaller
	}
	result, err := host.Restore(t.Context())
	if err == nil || result.Fallback == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("fell back to generation %d: ", good)) ||
		!strings.Contains(err.Error(), damage.want) || !strings.Contains(err.Error(), name) {
		t.Errorf("want %q of %q, and have: %v", damage.want, name, err)
	}
	if result.Generation != good || !result.Loaded {
		t.Errorf("%+v", result)
	}
	wantLoaded(t, variant, toml)
	if forward(t) != "11" {
		t.Error("nothing is forwarded")
	}
	status, err := host.Status(t.Context())
	if err != nil || status.State != restore.Drift || status.Good.Generation != good ||
		len(status.Drifts()) != 1 || !strings.HasSuffix(status.Drifts()[0], fmt.Sprintf("; boot will fall back to generation %d", good)) {
		t.Errorf("status: %v, %q, %v", status.State, status.Drifts(), err)
	}
}

// boot makes the kernel what it is at boot: without rules, and nothing forwarded.
func boot(t *testing.T, variant rules.Variant) {
	t.Helper()
	for _, f := range rules.Families() {
		put(t, variant, f, string(rules.Table{Family: f}.Text()))
	}
	for _, name := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		must(t, os.WriteFile("/proc/sys/"+name, []byte("0"), 0))
	}
}

// TestNoGoodGeneration loads nothing and forwards nothing.
func TestNoGoodGeneration(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, c := range []struct {
			name string
			do   func(host restore.Host) error
			want string
		}{
			{"nothing applied", func(restore.Host) error { return nil }, generation.ErrNone.Error()},
			{"both cut", func(host restore.Host) error {
				two(t, host)
				return errors.Join(os.Truncate(place(host, "generations/1/rules.v4"), 200), os.Truncate(place(host, "generations/2/rules.v6"), 300))
			}, "no good generation is left: generation 2 is not good: " /* and the rest */},
			{"others may write the state", func(host restore.Host) error {
				two(t, host)
				return os.Chmod(place(host), 0o777)
			}, "var/lib/natspread may be written by its group or by others"},
			{"others may write above it", func(host restore.Host) error {
				two(t, host)
				return os.Chmod(filepath.Join(host.Root, "var"), 0o722)
			}, "var may be written by its group or by others"},
			{"others may write the root", func(host restore.Host) error {
				two(t, host)
				return os.Chmod(host.Root, 0o720)
			}, "may be written by its group or by others"},
			{"the generations are a link", func(host restore.Host) error {
				two(t, host)
				return errors.Join(os.Rename(place(host, "generations"), place(host, "elsewhere")), os.Symlink("elsewhere", place(host, "generations")))
			}, "generations is a link"},
			{"the state is a link", func(host restore.Host) error {
				two(t, host)
				return errors.Join(os.Rename(place(host), place(host)+".other"), os.Symlink("natspread.other", place(host)))
			}, "natspread is a link"},
			{"all gone", func(host restore.Host) error {
				two(t, host)
				return os.RemoveAll(place(host, "generations"))
			}, "no such file"},
		} {
			t.Run(c.name, func(t *testing.T) {
				boot(t, variant)
				host := newHost(t, variant)
				must(t, c.do(host))
				before := state(t, host)
				_, err := host.Restore(t.Context())
				wantUnchanged(t, host, before, err, nil)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("want %q in: %v", c.want, err)
				}
				if forward(t) != "00" {
					t.Error("forwarding was touched")
				}
			})
		}
	})
}

// TestOtherOwner has files that belong to another user than root.
func TestOtherOwner(t *testing.T) {
	if !netnstest.IsolateAsRoot(t) {
		return
	}
	variant := rules.Variant(netnstest.Variants(t)[0])
	for _, name := range append([]string{"."}, members...) {
		t.Run(name, func(t *testing.T) {
			fallsBack(t, variant, damage{do: func(host restore.Host) error {
				return os.Chown(place(host, "generations/2", name), 1234, 0)
			}, want: "belongs to user 1234, not to root: chown root "}, "")
		})
	}
	for _, above := range []string{"generations", ".", "..", "../../.."} {
		t.Run(above, func(t *testing.T) {
			boot(t, variant)
			host := newHost(t, variant)
			store := two(t, host)
			must(t, os.Chown(place(host, above), 1234, 0))
			if _, err := store.Read(2); err == nil || !strings.Contains(err.Error(), "belongs to user 1234") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestFullDisk leaves no room for a generation.
func TestFullDisk(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		for what, spoil := range map[string]func(room unix.Statfs_t) string{
			"blocks": func(room unix.Statfs_t) string { return "nr_blocks=" + itoa(room.Blocks-room.Bfree+2) },
			"inodes": func(room unix.Statfs_t) string { return "nr_inodes=" + itoa(room.Files-room.Ffree+3) },
		} {
			t.Run(what, func(t *testing.T) {
				host := newHost(t, variant)
				must(t, os.MkdirAll(place(host), 0o700))
				must(t, unix.Mount("tmpfs", place(host), "tmpfs", 0, "mode=700"))
				apply(t, host, article)
				before := state(t, host)
				var room unix.Statfs_t
				must(t, unix.Statfs(place(host), &room))
				must(t, unix.Mount("", place(host), "", unix.MS_REMOUNT, spoil(room)))
				_, err := host.Apply(t.Context(), request(t, smaller))
				wantUnchanged(t, host, before, err, nil)
				if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "cannot write generation 2") {
					t.Errorf("%v", err)
				}
				if result, err := host.Restore(t.Context()); err != nil || result.Generation != 1 {
					t.Errorf("restore: %+v, %v", result, err)
				}
				must(t, unix.Mount("", place(host), "", unix.MS_REMOUNT, "nr_blocks=10000,nr_inodes=10000"))
				if result := apply(t, host, smaller); result.Generation != 2 {
					t.Errorf("with room again: %+v", result)
				}
				must(t, unix.Unmount(place(host), unix.MNT_DETACH))
			})
		}
	})
}

// TestReadOnlyFileSystem is a boot on which nothing can be written.
func TestReadOnlyFileSystem(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		two(t, host)
		must(t, unix.Mount(host.Root, host.Root, "", unix.MS_BIND, ""))
		must(t, unix.Mount("", host.Root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		for range 2 {
			result, err := host.Restore(t.Context())
			if err != nil || result.Generation != 2 {
				t.Errorf("%+v, %v", result, err)
			}
			wantLoaded(t, variant, smaller)
			if forward(t) != "11" {
				t.Error("nothing is forwarded")
			}
		}
		before := state(t, host)
		_, err := host.Apply(t.Context(), request(t, article))
		wantUnchanged(t, host, before, err, nil)
		if !errors.Is(err, unix.EROFS) {
			t.Errorf("%v", err)
		}
		must(t, unix.Unmount(host.Root, unix.MNT_DETACH))
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
		must(t, store.SetCurrent(write(t, host, article)))
	}
	want := func(want ...int) {
		t.Helper()
		if numbers, err := store.Numbers(); !slices.Equal(numbers, want) || err != nil {
			t.Errorf("numbers %d, %v; want %d", numbers, err, want)
		}
	}
	if result := apply(t, host, article); result.Generation != 12 || !result.Loaded {
		t.Errorf("%+v", result)
	}
	want(12, 11, 10, 9, 8, 7, 6, 5, 4, 3)
	if result := apply(t, host, alone); result.Generation != 13 {
		t.Errorf("%+v", result)
	}
	want(13, 12, 11, 10, 9, 8, 7, 6, 5, 4)
	must(t, os.Mkdir(place(host, "generations/99x"), 0o700))
	apply(t, host, smaller)
	want(14, 13, 12, 11, 10, 9, 8, 7, 6, 5)
}

// TestKilledRunIsSwept removes what a killed run left, and nothing else.
func TestKilledRunIsSwept(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.Variant(netnstest.Variants(t)[0]))
	apply(t, host, article)
	must(t, os.MkdirAll(place(host, "generations/7"), 0o700)) // about to be current
	must(t, os.MkdirAll(place(host, "generations/.unconfirmed-123"), 0o700))
	must(t, os.WriteFile(place(host, "generations/.unconfirmed-123/rules.v4"), []byte("*nat"), 0o600))
	must(t, os.Symlink("generations/2", place(host, ".current1234567890123456789")))
	stays := []string{"generations/notes", ".notes", "README"}
	for _, name := range stays {
		must(t, os.WriteFile(place(host, name), nil, 0o600))
	}
	if result := apply(t, host, smaller); result.Generation != 2 {
		t.Errorf("%+v", result)
	}
	var found []string
	for _, dir := range []string{".", "generations"} {
		entries, err := os.ReadDir(place(host, dir))
		must(t, err)
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
