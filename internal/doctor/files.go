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

// mostBytes is the longest file that is read. No file that people write is longer.
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

// exists tells whether something is at a path below the root; a dangling link is
// something. In an image, a directory above it may be an absolute link. Such a link is
// meant for the image, and never followed into this machine.
func (h Host) exists(path string) bool {
	root, err := os.OpenRoot(h.Root)
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }()
	_, err = root.Lstat(strings.TrimPrefix(path, "/"))
	return err == nil
}

// masked tells whether a file is empty, or a link to /dev/null. Then systemd ignores it
// and its drop-ins (systemd.network(5)).
func (h Host) masked(path string) bool {
	info, err := os.Stat(filepath.Join(h.Root, path))
	return err != nil || info.Size() == 0
}

// lines returns the lines of a file that are neither empty nor comments. Comments begin
// with # or ; in every format here. A file that cannot be read has no lines: programs
// that read it at boot find none either.
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

// inOrder returns the files with a suffix in some directories, in the order of their
// names, which is the order in which they are read. The directories are given in order of
// precedence: a file, also a link to /dev/null, hides the files of the same name in later
// directories (sysctl.d(5), systemd.network(5)).
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
