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
	"# For changes of your own: systemctl edit %s\n# sha256 of all below: %x\n\n"

// stamp puts the header before the text of a file.
func (s shipped) stamp(text []byte) []byte {
	return append(fmt.Appendf(nil, stampFormat, s.unit, sha256.Sum256(text)), text...)
}

// isOurs reports whether data is what some version of this package wrote, unchanged.
func (s shipped) isOurs(data []byte) bool {
	_, text, found := bytes.Cut(data, []byte("\n\n"))
	return found && bytes.Equal(s.stamp(text), data)
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
	unit string // what an administrator edits instead
	text func(program string) ([]byte, error)
}

// theUnit returns the unit of boot, theDropIn what it needs of nftables, theHealthUnit the unit of the watcher,
// theMetricsUnit and theMetricsTimer those that write metrics where there is no watcher.
func theUnit() shipped        { return shipped{paths.Unit, paths.Unit, Text} }
func theDropIn() shipped      { return shipped{DropInName, paths.Unit, DropIn} }
func theHealthUnit() shipped  { return shipped{paths.HealthUnit, paths.HealthUnit, HealthText} }
func theMetricsUnit() shipped { return shipped{paths.MetricsUnit, paths.MetricsUnit, MetricsText} }
func theMetricsTimer() shipped {
	return shipped{paths.MetricsTimer, paths.MetricsTimer, MetricsTimerText}
}

// theMetrics returns the drop-in that has a unit, which runs a command, write metrics into a file. No package ships
// one.
func theMetrics(unit, command, file string) shipped {
	return shipped{unit + ".d/prometheus.conf", unit, func(string) ([]byte, error) {
		return prometheus(unit, command, file)
	}}
}

// all returns every file that install may have written.
func all() []shipped {
	return []shipped{
		theMetrics(paths.HealthUnit, "", ""), theHealthUnit(), theMetrics(paths.MetricsUnit, "", ""), theMetricsUnit(), theMetricsTimer(),
		theUnit(), theDropIn(),
	}
}

// switched returns the units that are stopped and disabled, in this order: first those that watch the rules.
func switched() []string { return []string{paths.HealthUnit, paths.MetricsTimer, paths.Unit} }

// isDropIn tells a drop-in from a unit.
func (s shipped) isDropIn() bool { return s.name != s.unit }

// lookAt looks at a file in administratorDir below root without following it.
func (s shipped) lookAt(root string) (path string, data []byte, whose holder, err error) {
	path, err = atomicfile.Place(root, filepath.Join(administratorDir, s.name))
	if err != nil {
		return "", nil, nobody, err
	}
	info, err := os.Lstat(path)
	target, _ := os.Readlink(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil, nobody, nil
	case err != nil:
		return "", nil, nobody, fmt.Errorf("cannot look at %s: %w", path, atomicfile.Cause(err))
	case target == os.DevNull:
		return path, nil, masked, nil
	case !info.Mode().IsRegular():
		return path, nil, administrator, nil
	}
	data, err = os.ReadFile(path)
	switch {
	case err != nil:
		return "", nil, nobody, fmt.Errorf("cannot read %s: %w", path, atomicfile.Cause(err))
	case s.isOurs(data):
		return path, data, ours, nil
	}
	return path, data, administrator, nil
}

// packaged returns the file that a package ships, as a path below root, or "".
func (s shipped) packaged(root string) (string, error) {
	for _, dir := range packageDirs {
		file := filepath.Join(dir, s.name)
		path, err := atomicfile.Place(root, file)
		if err != nil {
			return "", err
		}
		if _, err := os.Lstat(path); err == nil {
			return file, nil
		}
	}
	return "", nil
}

// provideFiles sees to it that there is one unit of boot to enable, whose path below root it returns, one of the
// watcher, and one drop-in.
func provideFiles(root, program string) (unit string, done []string, err error) {
	unit, done, err = theUnit().provide(root, program)
	if err != nil {
		return "", done, err
	}
	for _, file := range []shipped{theHealthUnit(), theDropIn()} {
		_, more, err := file.provide(root, program)
		done = append(done, more...)
		if err != nil {
			return "", done, err
		}
	}
	return unit, done, nil
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
	case whose == masked: // what the administrator does not want, and boot does not need
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
	if s.isDropIn() {
		return "drop-in"
	}
	return "unit"
}

// write writes our file unless those very bytes are there, and never over what somebody else wrote.
func (s shipped) write(path string, old []byte, whose holder, program string) ([]string, error) {
	text, err := s.text(program)
	if err != nil {
		return nil, err
	}
	if whose == administrator {
		return nil, fmt.Errorf("cannot write %s: it was changed by hand; move it away, "+
			"and keep changes in a drop-in: systemctl edit %s", path, s.unit)
	}
	dir := filepath.Dir(path)
	if err := atomicfile.Sweep(dir, filepath.Base(path)); err != nil {
		return nil, err
	}
	if whose == ours && bytes.Equal(old, s.stamp(text)) {
		return nil, nil
	}
	if err := atomicfile.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := atomicfile.WriteFile(path, s.stamp(text), 0o644); err != nil {
		return nil, err
	}
	return []string{"wrote " + path}, nil
}

// removeFiles takes away what install wrote, and a drop-in's directory when that leaves it empty.
func removeFiles(root string) (done []string, err error) {
	for _, file := range all() {
		more, err := file.remove(root)
		done = append(done, more...)
		if err != nil {
			return done, err
		}
		if path, _, whose, _ := file.lookAt(root); file.isDropIn() && len(more) > 0 && whose == nobody {
			_ = os.Remove(filepath.Dir(path)) // refused by the kernel unless empty
		}
	}
	more, err := removeFactory(root)
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
		return []string{kept + path + ", which was changed by hand"}, nil
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
