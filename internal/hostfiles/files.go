// Package hostfiles reads the files that boot reads, sysctl.d, units and networkd's, as
// they override one another.
package hostfiles

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Root is the directory that every file is below: "/", or that of an image.
type Root string

// mostBytes is the longest file that is read. No file that people write is longer.
const mostBytes = 1 << 20

// Place is a line of a file, as a path below the root.
type Place struct {
	File string
	Line int // from 1
}

// String returns FILE:LINE.
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Line is a line with its place.
type Line struct {
	Text string // without spaces around it
	At   Place
}

// Exists tells whether something is at a path below the root; a dangling link is
// something. In an image, a directory above it may be an absolute link. Such a link is
// meant for the image, and never followed into this machine.
func (r Root) Exists(path string) bool {
	root, err := os.OpenRoot(string(r))
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }()
	_, err = root.Lstat(strings.TrimPrefix(path, "/"))
	return err == nil
}

// Masked tells whether a file is empty, or a link to /dev/null. Then systemd ignores it
// and its drop-ins (systemd.network(5)).
func (r Root) Masked(path string) bool {
	info, err := os.Stat(filepath.Join(string(r), path))
	return err != nil || info.Size() == 0
}

// Executable tells whether a file may be run.
func (r Root) Executable(file string) bool {
	info, err := os.Stat(filepath.Join(string(r), file))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Lines returns the lines of a file that are neither empty nor comments. Comments begin
// with # or ; in every format here. A file that cannot be read has no lines: programs
// that read it at boot find none either.
func (r Root) Lines(path string) []Line {
	full := filepath.Join(string(r), path)
	info, err := os.Stat(full)
	if err != nil || !info.Mode().IsRegular() || info.Size() > mostBytes {
		return nil
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return nil
	}
	var lines []Line
	for i, text := range strings.Split(string(data), "\n") {
		text = strings.TrimSpace(text)
		if text != "" && text[0] != '#' && text[0] != ';' {
			lines = append(lines, Line{text, Place{path, i + 1}})
		}
	}
	return lines
}

// InOrder returns the files with a suffix in some directories, in the order of their
// names, which is the order in which they are read. The directories are given in order of
// precedence: a file, also a link to /dev/null, hides the files of the same name in later
// directories (sysctl.d(5), systemd.network(5)).
func (r Root) InOrder(suffix string, dirs ...string) []string {
	first := map[string]string{} // by name
	for _, dir := range dirs {
		entries, err := os.ReadDir(filepath.Join(string(r), dir))
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

// glob returns the paths that match a pattern below the root.
func (r Root) glob(pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(string(r), pattern)) // fails for a bad pattern only
	return found
}
