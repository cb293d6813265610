package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/configfiles"
)

// filesOf returns the files of a config that is an archive's, less what it wants.
func filesOf(archive *txtar.Archive) configfiles.Set {
	var files configfiles.Set
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, configfiles.File{Name: f.Name, Path: f.Name, Text: f.Data})
		}
	}
	return files
}

// TestSeveral parses configs of several files, and compares the errors, or the Config, with what
// the story wants.
func TestSeveral(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/confd/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := filesOf(archive)
			for _, f := range files {
				if !configfiles.IsName(f.Name) {
					t.Errorf("%q is no name of a file", f.Name)
				}
			}
			c, err := ParseSet(files)
			got := dump(c)
			if err != nil {
				got = err.Error() + "\n"
			}
			if good := strings.HasPrefix(name, "good-"); good != (err == nil) {
				t.Errorf("the story's name says good is %v, but the error is %v", good, err)
			}
			want := &archive.Files[len(archive.Files)-1]
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(want.Data), got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// TestSplit cuts every good story's config before each of its services: in files of their own
// they are the same services. Of each bad one the errors are the same, in the same order, at
// places of their own file.
func TestSplit(t *testing.T) {
	for _, s := range stories(t) {
		text := string(s.file(t, "natspread.toml").Data)
		pieces := strings.SplitAfter(text, "\n\n[[service]]\n")
		if len(pieces) == 1 || strings.Contains(text, `"""`) || strings.Contains(text, "'''") {
			continue
		}
		files, lines := configfiles.Set{}, []int{} // the lines before each file
		before := 0
		for i, piece := range pieces {
			if i > 0 {
				piece = "[[service]]\n" + piece
			}
			if i < len(pieces)-1 {
				piece = strings.TrimSuffix(piece, "[[service]]\n")
			}
			name := fmt.Sprintf("conf.d/%03d.toml", i)
			files, lines = append(files, configfiles.File{Name: name, Path: name, Text: []byte(piece)}), append(lines, before)
			before += strings.Count(piece, "\n")
		}
		one, oneErr := Parse("f.toml", []byte(text))
		several, severalErr := ParseSet(files)
		if dump(one) != dump(several) {
			t.Errorf("%s: one file and several differ", s.path)
		}
		var all, each Errors
		if (oneErr == nil) != (severalErr == nil) || errors.As(oneErr, &all) != errors.As(severalErr, &each) {
			t.Errorf("%s: %v\n%v", s.path, oneErr, severalErr)
			continue
		}
		if strings.Contains(fmt.Sprint(oneErr), "cannot read ") || strings.Contains(fmt.Sprint(oneErr), "no service stands above") {
			continue // how far a syntax error reaches, and what a file begins with, differ
		}
		for i, e := range each {
			at := files.At(e.File)
			if len(all) != len(each) || all[i].Line != e.Line+lines[at] || all[i].Column != e.Column || all[i].Source != e.Source {
				t.Errorf("%s: one file has\n%v\nseveral have\n%v", s.path, oneErr, severalErr)
				break
			}
		}
	}
}
