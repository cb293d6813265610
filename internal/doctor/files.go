package doctor

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// mostBytes bounds a file that is read: none of those that people write is longer.
const mostBytes = 1 << 20

// place is a line of a file, as a path below the root.
type place struct {
	file string
	line int // from 1
}

// String returns FILE:LINE.
func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// numbered is a line with its place.
type numbered struct {
	text string // without spaces around it
	at   place
}

// exists tells whether something is at a path below the root, be it a dangling link.
// Directories that are absolute links in an image lead nowhere: they mean the image,
// never this machine.
func (h Host) exists(path string) bool {
	root, err := os.OpenRoot(h.Root)
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }()
	_, err = root.Lstat(strings.TrimPrefix(path, "/"))
	return err == nil
}

// masked tells whether a file is empty, or a link to /dev/null: then it is as good as
// none, and so are its drop-ins (systemd.network(5)).
func (h Host) masked(path string) bool {
	info, err := os.Stat(filepath.Join(h.Root, path))
	return err != nil || info.Size() == 0
}

// lines returns the lines of a file that are neither empty nor comments, which
// begin with # or ; in every format here. What cannot be read has none: it says
// nothing to those who read it at boot, either.
func (h Host) lines(path string) []numbered {
	full := filepath.Join(h.Root, path)
	info, err := os.Stat(full)
	if err != nil || !info.Mode().IsRegular() || info.Size() > mostBytes {
		return nil
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return nil
	}
	var lines []numbered
	for i, text := range strings.Split(string(data), "\n") {
		text = strings.TrimSpace(text)
		if text != "" && text[0] != '#' && text[0] != ';' {
			lines = append(lines, numbered{text, place{path, i + 1}})
		}
	}
	return lines
}

// inOrder returns the files with a suffix in directories that stand in order of
// precedence: a file hides those of its name in later directories, a link to
// /dev/null too, and all are read in the order of their names (sysctl.d(5),
// systemd.network(5)).
func (h Host) inOrder(suffix string, dirs ...string) []string {
	first := map[string]string{} // by name
	for _, dir := range dirs {
		entries, err := os.ReadDir(filepath.Join(h.Root, dir))
		if err != nil {
			continue
		}
		for _, entry := range entries {
			name := entry.Name()
			if _, hidden := first[name]; !hidden && strings.HasSuffix(name, suffix) {
				first[name] = path.Join(dir, name)
			}
		}
	}
	var files []string
	for _, name := range slices.Sorted(maps.Keys(first)) {
		files = append(files, first[name])
	}
	return files
}
