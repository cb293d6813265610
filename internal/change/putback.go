package change

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"natspread/internal/atomicfile"
	"natspread/restore/generation"
)

// PutBack writes the config of a generation into a config file, which keeps its owner and its mode.
// Where no generation was made from the text that the file had, that text is kept in another file
// beside it; kept is its name, or "".
func PutBack(store generation.Store, name string, back generation.Generation) (kept string, changed bool, err error) {
	now, err := Read(name, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return "", true, Create(name, back.Config)
	}
	if err != nil {
		return "", false, err
	}
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", false, fmt.Errorf("cannot find %s: %w", name, atomicfile.Cause(err))
	}
	_ = atomicfile.Sweep(filepath.Dir(path), filepath.Base(path), filepath.Base(firstFree(path))) // also where nothing is written
	if back.MadeFrom(now) {
		return "", false, nil
	}
	if !IsKept(store, now) {
		if kept, err = keep(path, now); err != nil {
			return "", false, err
		}
	}
	return kept, true, atomicfile.ReplaceFile(path, back.Config)
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
func IsKept(store generation.Store, text []byte) bool {
	entries, _ := store.History()
	for _, entry := range entries {
		if bytes.Equal(entry.Config, text) {
			return true
		}
	}
	return false
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
