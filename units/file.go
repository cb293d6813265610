package units

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"natspread/internal/atomicfile"
)

// stampFormat is what a unit file of ours begins with: by the sum of all that follows, a file that the
// administrator has changed since is known as the administrator's.
const stampFormat = "# Written by \"natspread install\", removed by \"natspread uninstall\".\n" +
	"# For changes of your own: systemctl edit " + Name + "\n# sha256 of all below: %x\n\n"

// stamp puts the header before the text of a unit.
func stamp(text []byte) []byte {
	return append(fmt.Appendf(nil, stampFormat, sha256.Sum256(text)), text...)
}

// isOurs reports whether data is what some version of this package wrote, unchanged.
func isOurs(data []byte) bool {
	_, text, found := bytes.Cut(data, []byte("\n\n"))
	return found && bytes.Equal(stamp(text), data)
}

// holder says whose the file at administratorPath is.
type holder int

const (
	nobody        holder = iota // there is none
	ours                        // as we wrote it
	administrator               // changed by hand, or a symlink
	masked                      // systemctl mask: a symlink to /dev/null
)

// unitFile looks at administratorPath below root without following it.
func unitFile(root string) (path string, data []byte, whose holder, err error) {
	dir, err := inside(root, administratorDir)
	if err != nil {
		return "", nil, nobody, err
	}
	path = filepath.Join(dir, Name)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nobody, nil
	}
	if err != nil {
		return "", nil, nobody, fmt.Errorf("cannot look at %s: %w", path, cause(err))
	}
	if target, _ := os.Readlink(path); target == os.DevNull {
		return path, nil, masked, nil
	}
	if !info.Mode().IsRegular() {
		return path, nil, administrator, nil
	}
	data, err = os.ReadFile(path)
	if err != nil {
		return "", nil, nobody, fmt.Errorf("cannot read %s: %w", path, cause(err))
	}
	if isOurs(data) {
		return path, data, ours, nil
	}
	return path, data, administrator, nil
}

// packagedUnit returns the unit that a package ships, as a path below root, or "".
func packagedUnit(root string) (string, error) {
	for _, dir := range packageDirs {
		resolved, err := inside(root, dir)
		if err != nil {
			return "", err
		}
		if _, err := os.Lstat(filepath.Join(resolved, Name)); err == nil {
			return filepath.Join(dir, Name), nil
		}
	}
	return "", nil
}

// provideUnit sees to it that there is one unit file to enable, and returns its path below root.
func provideUnit(root, program string) (unit string, done []string, err error) {
	packaged, err := packagedUnit(root)
	if err != nil {
		return "", nil, err
	}
	path, data, whose, err := unitFile(root)
	switch {
	case err != nil:
		return "", nil, err
	case whose == masked:
		return "", nil, fmt.Errorf("cannot enable %s: it is masked by %s; to allow it: systemctl unmask %s", Name, path, Name)
	case packaged == "":
		done, err = writeUnit(path, data, whose, program)
		return administratorPath, done, err
	case whose == ours:
		done, err = removeFile(path, ", which hid the package's unit")
		return packaged, done, err
	case whose == administrator:
		return administratorPath, nil, nil
	}
	return packaged, nil, nil
}

// writeUnit writes our unit unless those very bytes are there, and never over what somebody else wrote.
func writeUnit(path string, old []byte, whose holder, program string) ([]string, error) {
	text, err := Text(program)
	if err != nil {
		return nil, err
	}
	if whose == administrator {
		return nil, fmt.Errorf("cannot write %s: it was changed by hand; move it away, "+
			"and keep changes in a drop-in: systemctl edit %s", path, Name)
	}
	dir := filepath.Dir(path)
	if err := atomicfile.Sweep(dir, Name); err != nil {
		return nil, err
	}
	if whose == ours && bytes.Equal(old, stamp(text)) {
		return nil, nil
	}
	if err := atomicfile.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := atomicfile.WriteFile(path, stamp(text), 0o644); err != nil {
		return nil, err
	}
	return []string{"wrote " + path}, nil
}

// removeUnit takes away our own unit file; one changed by hand is kept, and said to be.
func removeUnit(root string) ([]string, error) {
	path, _, whose, err := unitFile(root)
	switch {
	case err != nil:
		return nil, err
	case whose == ours:
		return removeFile(path, "")
	case whose == administrator:
		return []string{"kept " + path + ", which was changed by hand"}, nil
	}
	return nil, nil
}

// removeFile removes path for good: synced, so that no power cut brings it back.
func removeFile(path, why string) ([]string, error) {
	if err := os.Remove(path); err != nil {
		return nil, fmt.Errorf("cannot remove %s: %w", path, cause(err))
	}
	done := []string{"removed " + path + why}
	return done, atomicfile.SyncDir(filepath.Dir(path))
}
