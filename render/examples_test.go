package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
)

// TestExamples renders each config that users may begin with: testdata/examples has its rules. In
// package main a test of the same name asks each of its services in the kernel.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob("../examples/*.toml")
	if err != nil || len(paths) != 12 {
		t.Fatalf("%d examples: %v", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".toml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Parse(filepath.Base(path), text)
			if err != nil {
				t.Fatal(err)
			}
			mustKeepPromises(t, cfg)
			got := &txtar.Archive{Comment: []byte("The rules of examples/" + name + ".toml.\n"), Files: tableFiles(New(cfg))}
			golden := filepath.Join("../testdata/examples", name+".txtar")
			if *update {
				if err := os.WriteFile(golden, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" || err != nil {
				t.Errorf("%v, want -, got +:\n%s", err, diff)
			}
		})
	}
}
