package restore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore"
	"natspread/restore/generation"
)

// TestRestoreFallsBack loads the newest good generation, and the error says why.
func TestRestoreFallsBack(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, damage := range hosttest.MemberDamages("rules.v6") {
			t.Run(damage.Name, func(t *testing.T) { fallsBack(t, variant, damage, "rules.v6") })
		}
		for _, damage := range hosttest.DirectoryDamages() {
			t.Run(damage.Name, func(t *testing.T) { fallsBack(t, variant, damage, "") })
		}
	})
}

// fallsBack does a damage and restores, on a kernel as it is at boot.
func fallsBack(t *testing.T, variant rules.Variant, damage hosttest.Damage, name string) {
	t.Helper()
	hosttest.Boot(t, variant)
	host := newHost(t, variant)
	two(t, host)
	hosttest.Must(t, damage.Do(generation.Store{Root: host.Root}))
	good, toml := 1, hosttest.Article
	if damage.Whole {
		good, toml = 2, hosttest.Smaller
	}
	result, err := host.Restore(t.Context())
	if err == nil || result.Fallback == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("fell back to generation %d: ", good)) ||
		!strings.Contains(err.Error(), damage.Want) || !strings.Contains(err.Error(), name) {
		t.Errorf("want %q of %q, and have: %v", damage.Want, name, err)
	}
	if result.Generation != good || !result.Loaded {
		t.Errorf("%+v", result)
	}
	hosttest.WantLoaded(t, variant, toml)
	if hosttest.Forwarding(t) != "11" {
		t.Error("nothing is forwarded")
	}
	wantInSync(t, host)
	if wanted := status(t, host).Wanted; wanted.Boot.Number != good || wanted.Fallback == nil || !strings.Contains(wanted.Fallback.Error(), damage.Want) {
		t.Errorf("status: boot %d, because of %v", wanted.Boot.Number, wanted.Fallback)
	}
}

// TestNoGoodGeneration loads nothing and forwards nothing.
func TestNoGoodGeneration(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
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
				hosttest.Boot(t, variant)
				host := newHost(t, variant)
				hosttest.Must(t, c.do(host))
				before := state(t, host)
				_, err := host.Restore(t.Context())
				wantUnchanged(t, host, before, err, nil)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("want %q in: %v", c.want, err)
				}
				if hosttest.Forwarding(t) != "00" {
					t.Error("forwarding was touched")
				}
			})
		}
	})
}

// TestReadOnlyFileSystem is a boot on which nothing can be written.
func TestReadOnlyFileSystem(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		two(t, host)
		hosttest.Must(t, unix.Mount(host.Root, host.Root, "", unix.MS_BIND, ""))
		hosttest.Must(t, unix.Mount("", host.Root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		for range 2 {
			result, err := host.Restore(t.Context())
			if err != nil || result.Generation != 2 {
				t.Errorf("%+v, %v", result, err)
			}
			hosttest.WantLoaded(t, variant, hosttest.Smaller)
			if hosttest.Forwarding(t) != "11" {
				t.Error("nothing is forwarded")
			}
		}
		before := state(t, host)
		_, err := host.Apply(t.Context(), request(t, hosttest.Article))
		wantUnchanged(t, host, before, err, nil)
		if !errors.Is(err, unix.EROFS) {
			t.Errorf("%v", err)
		}
		hosttest.Must(t, unix.Unmount(host.Root, unix.MNT_DETACH))
	})
}
