package units

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"natspread/internal/atomicfile"
)

// InstallOffline writes the unit for program into the image at root and makes the symlinks that
// "systemctl --root enable" makes, without systemd and without rights beyond those to the files. Where the
// image holds a packaged unit, only the symlinks are made. done is reported in order, also beside an error.
func InstallOffline(root, program string) (done []string, err error) {
	unit, done, err := provideFiles(root, program)
	if err != nil {
		return done, err
	}
	for _, by := range wantedBy {
		made, err := link(root, unit, by)
		done = append(done, made...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// UninstallOffline takes away from the image at root what InstallOffline put there; a packaged unit, a unit
// changed by hand and drop-ins stay. done is reported in order, also beside an error.
func UninstallOffline(root string) (done []string, err error) {
	done, err = removeLinks(root)
	if err != nil {
		return done, err
	}
	removed, err := removeFiles(root)
	return append(done, removed...), err
}

// link makes the symlink that lets the unit named by pull ours in.
func link(root, unit, by string) ([]string, error) {
	name := filepath.Base(unit)
	path, err := atomicfile.Place(root, filepath.Join(administratorDir, by+".wants", name))
	if err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := atomicfile.Sweep(filepath.Dir(path), name); err != nil {
		return nil, err
	}
	if target, err := os.Readlink(path); err == nil && target == unit {
		return nil, nil
	}
	if err := atomicfile.Symlink(unit, path); err != nil {
		return nil, err
	}
	return []string{"linked " + path}, nil
}

// removeLinks removes every symlink that enables a unit of ours, also those an administrator made, as systemctl
// disable does: each would dangle.
func removeLinks(root string) (done []string, err error) {
	dir, err := atomicfile.Resolve(root, administratorDir, nil)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", dir, atomicfile.Cause(err))
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".wants") && !strings.HasSuffix(entry.Name(), ".requires") {
			continue
		}
		for _, unit := range switched() {
			removed, err := unlink(root, entry.Name(), unit)
			done = append(done, removed...)
			if err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

// unlink removes the symlink of a unit from one directory of administratorDir, and the directory with it when that
// leaves it empty, as systemctl does.
func unlink(root, name, unit string) ([]string, error) {
	path, err := atomicfile.Place(root, filepath.Join(administratorDir, name, unit))
	if err != nil {
		return nil, err
	}
	if _, err := os.Readlink(path); err != nil {
		return nil, nil // no such symlink: nothing of ours
	}
	done, err := removeFile(path, "")
	if err == nil {
		_ = os.Remove(filepath.Dir(path)) // refused by the kernel unless empty
	}
	return done, err
}
