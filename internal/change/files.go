package change

import (
	"bytes"
	"os"
	"path/filepath"

	"natspread/internal/atomicfile"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// WriteRules writes the rules of all tables into a directory, returns the files, and tells whether any has other
// bytes than before, also beside an error. When a later file cannot be written, earlier ones that are new are removed
// again. A part of the filter table that is empty has a file only if there was one: an old one would say something else.
func (p Plan) WriteRules(dir string) (files []string, changed bool, err error) {
	var fresh []string
	replaced := false // one that was there
	for _, table := range p.Tables.All() {
		path, text := filepath.Join(dir, generation.RulesFile(table)), rules.EncodeFile(table)
		info, missing := os.Lstat(path)
		if missing != nil && table.Name == rules.Filter && table.Empty() {
			continue
		}
		same := missing == nil && info.Mode().IsRegular() && holds(path, text)
		if missing != nil {
			fresh = append(fresh, path)
		}
		if err := atomicfile.WriteFile(path, text, 0o644); err != nil {
			for _, path := range fresh {
				_ = os.Remove(path) // it may not even have come to be
			}
			return nil, replaced, err
		}
		files, changed, replaced = append(files, path), changed || !same, replaced || missing == nil && !same
	}
	return files, changed, nil
}

// holds tells whether a file holds just this text.
func holds(path string, text []byte) bool {
	old, err := os.ReadFile(path)
	return err == nil && bytes.Equal(old, text)
}
