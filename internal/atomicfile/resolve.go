package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mostSymlinks is how many symlinks the kernel itself follows in one path.
const mostSymlinks = 40

// Resolve returns where the directory dir of an image lies, with the image's symlinks followed as a process
// chrooted into root would follow them: absolute ones begin at root, and none leads out of it. What does not
// exist yet is taken as it stands. The image is taken as still; nobody may be at work in it meanwhile.
func Resolve(root, dir string) (string, error) {
	opened, err := os.OpenRoot(root)
	if err != nil {
		return "", fmt.Errorf("cannot open the root %s: %w", root, Cause(err))
	}
	defer func() { _ = opened.Close() }()
	resolved, rest, followed := ".", parts(dir), 0
	for len(rest) > 0 {
		next := climb(resolved, rest[0])
		rest = rest[1:]
		target, err := readlink(opened, next)
		if err != nil {
			return "", fmt.Errorf("cannot look up %s in %s: %w", dir, root, err)
		}
		if target == "" {
			resolved = next
			continue
		}
		if followed++; followed > mostSymlinks {
			return "", fmt.Errorf("cannot look up %s in %s: too many symlinks", dir, root)
		}
		if filepath.IsAbs(target) {
			resolved = "."
		}
		rest = append(parts(target), rest...)
	}
	return filepath.Join(root, resolved), nil
}

// Place returns where the file of an image lies: Resolve for its directory, while the last
// element of the path, which may be a link, is not followed.
func Place(root, path string) (string, error) {
	dir, err := Resolve(root, filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// parts splits a path as the kernel does; "." and doubled slashes go.
func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// climb goes one step on from a resolved directory; the top's parent is the top.
func climb(resolved, part string) string {
	if part == ".." && resolved == "." {
		return "."
	}
	return filepath.Join(resolved, part)
}

// readlink returns where path points to, or "" when it is no symlink or does not exist.
func readlink(opened *os.Root, path string) (string, error) {
	info, err := opened.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case info.Mode().Type() != fs.ModeSymlink:
		return "", nil
	}
	return opened.Readlink(path)
}
