package program

import (
	"os"
	"path/filepath"
)

// Dirs returns the directories in which programs are looked for: fixed, so that no one's
// PATH decides what runs as root.
func Dirs() []string {
	return []string{"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"}
}

// Find returns the absolute path of a program below root, or "".
func Find(root, name string) string {
	for _, dir := range Dirs() {
		path := filepath.Join(dir, name)
		// Lstat: below a foreign root the links of alternatives are absolute.
		if _, err := os.Lstat(filepath.Join(root, path)); err == nil {
			return path
		}
	}
	return ""
}
