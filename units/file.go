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
	"natspread/internal/paths"
)

// stampFormat is what a unit file of ours begins with: by the sum of all that follows, a file that the
// administrator has changed since is known as the administrator's.
const stampFormat = "# Written by \"natspread install\", removed by \"natspread uninstall\".\n" +
	"# For changes of your own: systemctl edit " + paths.Unit + "\n# sha256 of all below: %x\n\n"

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

// shipped is a file that a package ships, and install writes where none does.
type shipped struct {
	name string // below a directory of units
	text func(program string) ([]byte, error)
}

// theUnit and theDropIn return the two files that there are.
func theUnit() shipped   { return shipped{paths.Unit, Text} }
func theDropIn() shipped { return shipped{DropInName, DropIn} }

// lookAt looks at a file in administratorDir below root without following it.
func (s shipped) lookAt(root string) (path string, data []byte, whose holder, err error) {
	dir, err := atomicfile.Resolve(root, filepath.Join(administratorDir, filepath.Dir(s.name)), nil)
	if err != nil {
		return "", nil, nobody, err
	}
	path = filepath.Join(dir, filepath.Base(s.name))
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nobody, nil
	}
	if err != nil {
		return "", nil, nobody, fmt.Errorf("cannot look at %s: %w", path, atomicfile.Cause(err))
	}
	if target, _ := os.Readlink(path); target == os.DevNull {
		return path, nil, masked, nil
	}
	if !info.Mode().IsRegular() {
		return path, nil, administrator, nil
	}
	data, err = os.ReadFile(path)
	if err != nil {
		return "", nil, nobody, fmt.Errorf("cannot read %s: %w", path, atomicfile.Cause(err))
	}
	if isOurs(data) {
		return path, data, ours, nil
	}
	return path, data, administrator, nil
}

// packaged returns the file that a package ships, as a path below root, or "".
func (s shipped) packaged(root string) (string, error) {
	for _, dir := range packageDirs {
		resolved, err := atomicfile.Resolve(root, filepath.Join(dir, filepath.Dir(s.name)), nil)
		if err != nil {
			return "", err
		}
		if _, err := os.Lstat(filepath.Join(resolved, filepath.Base(s.name))); err == nil {
			return filepath.Join(dir, s.name), nil
		}
	}
	return "", nil
}

// provideFiles sees to it that there is one unit to enable, whose path below root it returns, and one drop-in.
func provideFiles(root, program string) (unit string, done []string, err error) {
	unit, done, err = theUnit().provide(root, program)
	if err != nil {
		return "", done, err
	}
	_, more, err := theDropIn().provide(root, program)
	return unit, append(done, more...), err
}

// provide sees to it that there is one such file, and returns its path below root.
func (s shipped) provide(root, program string) (path string, done []string, err error) {
	packaged, err := s.packaged(root)
	if err != nil {
		return "", nil, err
	}
	own := filepath.Join(administratorDir, s.name)
	path, data, whose, err := s.lookAt(root)
	switch {
	case err != nil:
		return "", nil, err
	case whose == masked && s.name == paths.Unit:
		return "", nil, fmt.Errorf("cannot enable %s: it is masked by %s; to allow it: systemctl unmask %s", paths.Unit, path, paths.Unit)
	case whose == masked: // a drop-in that the administrator does not want
		return own, nil, nil
	case packaged == "":
		done, err = s.write(path, data, whose, program)
		return own, done, err
	case whose == ours:
		done, err = removeFile(path, ", which hid the package's "+s.kind())
		return packaged, done, err
	case whose == administrator:
		return own, nil, nil
	}
	return packaged, nil, nil
}

// kind says what the file is, in a word.
func (s shipped) kind() string {
	if s.name == paths.Unit {
		return "unit"
	}
	return "drop-in"
}

// write writes our file unless those very bytes are there, and never over what somebody else wrote.
func (s shipped) write(path string, old []byte, whose holder, program string) ([]string, error) {
	text, err := s.text(program)
	if err != nil {
		return nil, err
	}
	if whose == administrator {
		return nil, fmt.Errorf("cannot write %s: it was changed by hand; move it away, "+
			"and keep changes in a drop-in: systemctl edit %s", path, paths.Unit)
	}
	dir := filepath.Dir(path)
	if err := atomicfile.Sweep(dir, filepath.Base(path)); err != nil {
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

// removeFiles takes away what provideFiles wrote, and the drop-in's directory when that leaves it empty.
func removeFiles(root string) (done []string, err error) {
	done, err = theUnit().remove(root)
	if err != nil {
		return done, err
	}
	more, err := theDropIn().remove(root)
	if len(more) > 0 && err == nil {
		if path, _, whose, _ := theDropIn().lookAt(root); whose == nobody {
			_ = os.Remove(filepath.Dir(path)) // refused by the kernel unless empty
		}
	}
	return append(done, more...), err
}

// remove takes away our own file; one changed by hand is kept, and said to be.
func (s shipped) remove(root string) ([]string, error) {
	path, _, whose, err := s.lookAt(root)
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
		return nil, fmt.Errorf("cannot remove %s: %w", path, atomicfile.Cause(err))
	}
	done := []string{"removed " + path + why}
	return done, atomicfile.SyncDir(filepath.Dir(path))
}
