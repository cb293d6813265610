// Package storytest compares stories with what the code makes of them. A story is a txtar of testdata
// that holds what goes in and what is to come out.
package storytest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// Paths returns the stories of a directory, and fails where there are fewer than the given number.
func Paths(t *testing.T, dir string, least int) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(paths) < least {
		t.Fatalf("found %d stories in %s: %v", len(paths), dir, err)
	}
	return paths
}

// Each compares each story with the same story as the code retells it. With update the file becomes
// what the code says.
func Each(t *testing.T, paths []string, update bool, retold func(t *testing.T, story *txtar.Archive) *txtar.Archive) {
	t.Helper()
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			story, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(strings.TrimSpace(string(story.Comment))) == 0 {
				t.Error("the story does not say why it exists")
			}
			got := retold(t, story)
			if update {
				if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(story)), string(txtar.Format(got))); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}
