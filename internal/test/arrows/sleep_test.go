package arrows

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoSleep keeps fixed times out of the tests and of what only tests use: they wait for
// a condition, by internal/test/await.
func TestNoSleep(t *testing.T) {
	const helpers, waits = "internal/test/", "internal/test/await/await.go"
	call := []byte("time." + "Sleep(")
	looked := 0
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // what another test made and took away again
		case err != nil:
			return err
		case entry.IsDir() && path != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go") && !(strings.HasPrefix(path, helpers) && filepath.Ext(path) == ".go"), path == waits:
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		looked++
		if bytes.Contains(text, call) {
			t.Errorf("%s sleeps", path)
		}
		return nil
	})
	if err != nil || looked < 100 {
		t.Errorf("%d files, %v", looked, err)
	}
}
