// Package configfiles knows which files make up a config, and in which order. It knows their names and
// their bytes, and no TOML: so the boot path, which reads no config, can keep them.
package configfiles

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The names of the files, beside one another.
const (
	Main   = "natspread.toml"
	Dir    = "conf.d" // its files come after Main, in byte order of their names
	Suffix = ".toml"  // of each file in Dir that counts
)

// Most is how many files may be in Dir.
const Most = 1000

// File is one file of a config.
type File struct {
	Name string // Main, or Dir, a slash and the file's own name
	Path string // where it is, or what errors call it
	Text []byte
}

// Set is the files of a config, in their order: Main, if there is one, then those of Dir.
type Set []File

// Alone is the config of one file, which errors call path.
func Alone(path string, text []byte) Set { return Set{{Name: Main, Path: path, Text: text}} }

// Order puts the files into their order.
func (s Set) Order() {
	slices.SortFunc(s, func(a, b File) int { return compare(a.Name, b.Name) })
}

// compare puts Main before all others, and these into the order of their bytes.
func compare(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == Main:
		return -1
	case b == Main:
		return 1
	}
	return cmp.Compare(a, b)
}

// At returns where the file of a name stands; -1 where there is none.
func (s Set) At(name string) int {
	i, found := slices.BinarySearchFunc(s, name, func(f File, name string) int { return compare(f.Name, name) })
	if !found {
		return -1
	}
	return i
}

// Main returns the text of Main; nil where there is no such file.
func (s Set) Main() []byte {
	if i := s.At(Main); i >= 0 {
		return s[i].Text
	}
	return nil
}

// Title names a config for people by the path of Main, and says whether it has files in Dir.
func (s Set) Title(path string) string {
	if len(s) > 1 {
		return path + " with " + Dir
	}
	return path
}

// Names returns the names of the files.
func (s Set) Names() []string {
	names := make([]string, len(s))
	for i, f := range s {
		names[i] = f.Name
	}
	return names
}

// Paths returns where the files are.
func (s Set) Paths() []string {
	paths := make([]string, len(s))
	for i, f := range s {
		paths[i] = f.Path
	}
	return paths
}

// Size returns how many bytes all files have.
func (s Set) Size() int {
	size := 0
	for _, f := range s {
		size += len(f.Text)
	}
	return size
}

// Equal tells whether two configs have the same files, with the same bytes, wherever they are.
func (s Set) Equal(other Set) bool {
	return slices.EqualFunc(s, other, func(a, b File) bool { return a.Name == b.Name && bytes.Equal(a.Text, b.Text) })
}

// With returns the config with another file in place of the one of the same name, or beside the
// others.
func (s Set) With(file File) Set {
	all := slices.Clone(s)
	if i := all.At(file.Name); i >= 0 {
		all[i] = file
		return all
	}
	all = append(all, file)
	all.Order()
	return all
}

// Ignored says why a file in Dir does not count; "" for one that does. What editors and packages
// leave beside a file has another suffix, or begins with a dot.
func Ignored(name string) string {
	switch {
	case strings.HasPrefix(name, "."):
		return "it is hidden"
	case !strings.HasSuffix(name, Suffix):
		return "its name does not end in " + Suffix
	}
	return ""
}

// IsName tells whether a name may be that of a file of a config. Names are written into
// manifests and messages, so they are text that can be printed.
func IsName(name string) bool {
	base, below := strings.CutPrefix(name, Dir+"/")
	if !below {
		return name == Main
	}
	printable := !strings.ContainsFunc(base, func(r rune) bool { return !unicode.IsPrint(r) })
	return base == path.Base(base) && Ignored(base) == "" && utf8.ValidString(base) && printable
}
