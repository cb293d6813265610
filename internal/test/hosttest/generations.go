package hosttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// Root returns a root directory of the test's own, which is root's alone whatever the
// umask is.
func Root(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	Must(t, os.Chmod(root, 0o700))
	return root
}

// Day is when the generations of tests are made.
func Day() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// Generation returns what an apply of a config writes, proven by a variant.
func Generation(t testing.TB, variant rules.Variant, toml string) generation.Generation {
	t.Helper()
	return generation.Generation{
		Tables: Tables(t, toml), Services: rules.EncodeServices(Services(t, toml)), Config: configfiles.Alone("natspread.toml", []byte(toml)),
		Manifest: generation.Manifest{Created: Day(), Command: "apply", Version: "test", Variant: variant, Proven: true},
	}
}

// WriteCurrent writes configs as generations in this order, of which each was current and
// the last one is.
func WriteCurrent(t testing.TB, store generation.Store, variant rules.Variant, tomls ...string) {
	t.Helper()
	for _, toml := range tomls {
		number, err := store.Write(Generation(t, variant, toml))
		Must(t, err)
		Must(t, store.SetCurrent(number))
	}
}

// Members are the files of a generation that has nothing in the filter table.
func Members() []string {
	return []string{"manifest", "config/natspread.toml", "rules.v4", "rules.v6", "services"}
}

// Damage is what may become of the current generation, which is the second of two.
type Damage struct {
	Name  string
	Do    func(store generation.Store) error
	Want  string // what the error says of it, beside the name of the file
	Whole bool   // generation 2 itself is good, and only the link current is not
}

// MemberDamages are those of one file.
func MemberDamages(name string) []Damage {
	at := func(store generation.Store) string { return store.Path(paths.Generations, "2", name) }
	instead := func(put func(path string) error) func(store generation.Store) error {
		return func(store generation.Store) error { return errors.Join(os.Remove(at(store)), put(at(store))) }
	}
	others := "its sha256 is not the one in the manifest"
	if name == "manifest" {
		others = "manifest is that of generation 1"
	}
	return []Damage{
		{"missing", instead(func(string) error { return nil }), "no such file", false},
		{"empty", func(store generation.Store) error { return os.Truncate(at(store), 0) }, "", false},
		{"too large", func(store generation.Store) error { return os.Truncate(at(store), 64<<20+1) }, "it is larger than 67108864 bytes", false},
		{"a directory", instead(func(path string) error { return os.Mkdir(path, 0o700) }), "it is no regular file", false},
		{"a FIFO", instead(func(path string) error { return unix.Mkfifo(path, 0o600) }), "it is no regular file", false},
		{"a socket", instead(func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) }), "no such device", false},
		{"a link to a good one", func(store generation.Store) error {
			return errors.Join(os.Rename(at(store), at(store)+".good"), os.Symlink(filepath.Base(name)+".good", at(store)))
		}, "is a link", false},
		{"a dangling link", instead(func(path string) error { return os.Symlink("nowhere", path) }), "is a link", false},
		{"group-writable", func(store generation.Store) error { return os.Chmod(at(store), 0o620) }, "may be written by its group or by others: chmod go-w ", false},
		{"everyone's", func(store generation.Store) error { return os.Chmod(at(store), 0o602) }, "may be written by its group or by others: chmod go-w ", false},
		{"another generation's", func(store generation.Store) error {
			content, err := os.ReadFile(store.Path(paths.Generations, "1", name))
			return errors.Join(err, os.WriteFile(at(store), content, 0o600))
		}, others, false},
	}
}

// DirectoryDamages are those of the directories and of the link current.
func DirectoryDamages() []Damage {
	second := func(store generation.Store) string { return store.Path(paths.Generations, "2") }
	current := func(put func(path string) error) func(store generation.Store) error {
		return func(store generation.Store) error {
			return errors.Join(os.Remove(store.Path(paths.Current)), put(store.Path(paths.Current)))
		}
	}
	link := func(target string) func(store generation.Store) error {
		return current(func(path string) error { return os.Symlink(target, path) })
	}
	return []Damage{
		{"group-writable", func(store generation.Store) error { return os.Chmod(second(store), 0o770) }, "may be written by its group", false},
		{"a link", func(store generation.Store) error {
			return errors.Join(os.Rename(second(store), store.Path(paths.State, "moved")), os.Symlink(filepath.Join("..", "moved"), second(store)))
		}, "is a link", false},
		{"missing", func(store generation.Store) error { return os.RemoveAll(second(store)) }, "no such file", false},
		{"a file", func(store generation.Store) error {
			return errors.Join(os.RemoveAll(second(store)), os.WriteFile(second(store), nil, 0o600))
		}, "is a link, or no directory", false},
		{"current dangles", link("generations/9"), "generation 9 is not good", true},
		{"current is garbage", link("\x1b[31m\nno"), "which is no generation", true},
		{"current is absolute", link("/var/lib/natspread/generations/2"), "which is no generation", true},
		{"current goes round", link("generations/../generations/2"), "which is no generation", true},
		{"current is negative", link("generations/-2"), "which is no generation", true},
		{"current is padded", link("generations/02"), "which is no generation", true},
		{"current is absent", current(func(string) error { return nil }), "current is missing", true},
		{"current is a file", current(func(path string) error { return os.WriteFile(path, []byte("generations/2"), 0o600) }), "cannot read", true},
	}
}

// WriteOld writes the generation that an earlier natspread wrote, which is in the directory from,
// as the first and current one, made for a variant, and returns its config.
func WriteOld(t testing.TB, store generation.Store, variant rules.Variant, from string) (toml string) {
	t.Helper()
	first := store.Path(paths.Generations, "1")
	Must(t, os.MkdirAll(first, 0o700))
	files, err := os.ReadDir(from)
	Must(t, err)
	for _, file := range files {
		name := file.Name()
		content, err := os.ReadFile(filepath.Join(from, name))
		Must(t, err)
		if name == "manifest" {
			content = bytes.ReplaceAll(content, []byte(`"nft"`), fmt.Appendf(nil, "%q", variant))
		}
		if name == "natspread.toml" {
			toml = string(content)
		}
		Must(t, os.WriteFile(filepath.Join(first, name), content, 0o600))
	}
	Must(t, store.SetCurrent(1))
	return toml
}
