package change

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"natspread/internal/atomicfile"
	"natspread/internal/configfiles"
	"natspread/restore/generation"
)

// PutBack puts the config of a generation in place of the one called name: its files keep their
// owners and their modes. It removes the files that the generation does not have, and calls removing
// before each. A text that no generation was made from is kept in another file beside its own; kept
// are the names of these.
func PutBack(store generation.Store, name string, back generation.Generation, removing func(file string)) (kept []string, changed bool, err error) {
	now, err := Read(name, nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	sweep(now, func(path string) []string { return []string{path, firstFree(path)} })
	known := knownFiles(store)
	for _, f := range back.Config {
		f.Path = Place(name, f.Name)
		if now.At(f.Name) < 0 {
			changed, err = true, Create(f.Path, f.Text)
		} else {
			var wrote bool
			kept, wrote, err = putFile(kept, known, now[now.At(f.Name)], f.Text)
			changed = changed || wrote
		}
		if err != nil {
			return kept, changed, err
		}
	}
	for _, f := range now {
		if back.Config.At(f.Name) >= 0 {
			continue
		}
		removing(f.Path)
		if kept, err = keepUnknown(kept, known, f.Path, f); err == nil {
			changed, err = true, os.Remove(f.Path)
		}
		if err == nil {
			err = atomicfile.SyncDir(filepath.Dir(f.Path))
		}
		if err != nil {
			return kept, changed, fmt.Errorf("cannot remove %s: %w", f.Path, atomicfile.Cause(err))
		}
	}
	return kept, changed, nil
}

// sweep removes what killed writers left of some files: those that written returns for the path of
// each file of a config. The path is where a link leads.
func sweep(files configfiles.Set, written func(path string) []string) {
	targets := map[string][]string{} // by their directories
	for _, f := range files {
		path, err := filepath.EvalSymlinks(f.Path)
		if err != nil {
			continue
		}
		for _, name := range written(path) {
			targets[filepath.Dir(path)] = append(targets[filepath.Dir(path)], filepath.Base(name))
		}
	}
	for dir, names := range targets {
		_ = atomicfile.Sweep(dir, names...) // what stays does no harm
	}
}

// putFile puts a text into a file that is there, and tells whether it had another one.
func putFile(kept []string, known map[string]bool, now configfiles.File, text []byte) (_ []string, changed bool, err error) {
	path, err := filepath.EvalSymlinks(now.Path)
	if err != nil {
		return kept, false, fmt.Errorf("cannot find %s: %w", now.Path, atomicfile.Cause(err))
	}
	if bytes.Equal(now.Text, text) {
		return kept, false, nil
	}
	if kept, err = keepUnknown(kept, known, path, now); err != nil {
		return kept, false, err
	}
	return kept, true, atomicfile.ReplaceFile(path, text)
}

// keepUnknown keeps the text of a file beside a path if no generation was made from it.
func keepUnknown(kept []string, known map[string]bool, path string, file configfiles.File) ([]string, error) {
	if known[string(file.Text)] {
		return kept, nil
	}
	beside, err := keep(path, file.Text)
	if err != nil {
		return kept, err
	}
	return append(kept, beside), nil
}

// Create writes a config file that must not exist yet.
func Create(name string, text []byte) error {
	err := atomicfile.CreateAll(name, text, 0o644)
	if _, there := os.Lstat(name); there == nil && errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: edit it, or move it away first", name)
	}
	return err
}

// IsKept tells whether a generation was made from a text.
func IsKept(store generation.Store, text []byte) bool { return knownFiles(store)[string(text)] }

// knownFiles returns the texts of all files that generations were made from.
func knownFiles(store generation.Store) map[string]bool {
	known := map[string]bool{}
	entries, _ := store.History()
	for _, entry := range entries {
		for _, f := range entry.Config {
			known[string(f.Text)] = true
		}
	}
	return known
}

// keep writes a text beside a file, under a name that nothing has yet.
func keep(path string, text []byte) (kept string, err error) {
	for {
		kept = firstFree(path)
		if err = atomicfile.CreateFile(kept, text, 0o600); !errors.Is(err, fs.ErrExist) {
			return kept, err
		}
	}
}

// firstFree returns the first of the names PATH.unapplied-1, -2, ... that no file has.
func firstFree(path string) string {
	for number := 1; ; number++ {
		name := fmt.Sprintf("%s.unapplied-%d", path, number)
		if _, err := os.Lstat(name); err != nil {
			return name
		}
	}
}
