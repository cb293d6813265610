package units

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/program"
)

// installedProgram is where programs go that the administrator, not a package, put on the machine. The file has this
// name also when the copy that runs has another.
const installedProgram = "/usr/local/sbin/natspread"

// InstallProgram puts a copy of the program at from into /usr/local/sbin below root, mode 0755, unless the very
// same is there. It returns the path as seen from inside root, which is the one a unit needs, and what was done.
func InstallProgram(root, from string) (path string, done []string, err error) {
	target, err := atomicfile.Place(root, installedProgram)
	if err != nil {
		return "", nil, err
	}
	same, data, err := sameProgram(target, from)
	if err != nil || same {
		return installedProgram, nil, err
	}
	if err := atomicfile.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return "", nil, err
	}
	return installedProgram, []string{"program " + target}, atomicfile.WriteFile(target, data, 0o755)
}

// sameProgram reports whether target is already what a copy of from would be, and returns from's bytes
// where it is not. A symlink at target is not: in an image it may lead out of it.
func sameProgram(target, from string) (same bool, data []byte, err error) {
	running, err := os.Stat(from)
	if err != nil {
		return false, nil, fmt.Errorf("cannot copy the program %s: %w", from, atomicfile.Cause(err))
	}
	if !running.Mode().IsRegular() {
		return false, nil, fmt.Errorf("cannot copy the program %s: it is not a regular file", from)
	}
	installed, err := os.Lstat(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, nil, fmt.Errorf("cannot look at %s: %w", target, atomicfile.Cause(err))
	}
	if err == nil && os.SameFile(running, installed) {
		return true, nil, nil
	}
	data, err = os.ReadFile(from)
	if err != nil {
		return false, nil, fmt.Errorf("cannot copy the program %s: %w", from, atomicfile.Cause(err))
	}
	if installed == nil || installed.Mode() != 0o755 || installed.Size() != int64(len(data)) {
		return false, data, nil
	}
	old, err := os.ReadFile(target)
	return err == nil && bytes.Equal(old, data), data, nil
}

// Owned reports whether a package of dpkg or rpm owns the file at path. A host that has neither program, or
// whose program fails, is one where no package does. Both are run from where packages have them: nobody's PATH
// decides what runs as root.
func Owned(ctx context.Context, run program.Runner, path string) bool {
	// dpkg-query takes a pattern; escaped it means just this path.
	pattern := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
	if listed, err := run(ctx, nil, "/usr/bin/dpkg-query", "-S", pattern); err == nil && dpkgOwns(listed, path) {
		return true
	}
	named, err := run(ctx, nil, "/usr/bin/rpm", "-qf", path)
	return err == nil && len(bytes.TrimSpace(named)) > 0
}

// dpkgOwns looks for "PACKAGE: PATH"; a line on a diversion tells of a path without a package.
func dpkgOwns(listed []byte, path string) bool {
	for line := range strings.Lines(string(listed)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasSuffix(line, ": "+path) && !strings.HasPrefix(line, "diversion by ") {
			return true
		}
	}
	return false
}

// Packaged reports whether a package below root ships the unit, and so the program that it runs.
func Packaged(root string) (bool, error) {
	path, err := theUnit().packaged(root)
	return path != "", err
}
