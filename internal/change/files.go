package change

import (
	"bytes"
	"os"
	"path/filepath"

	"natspread/internal/atomicfile"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// WriteRules writes the rules of all tables into a directory, returns the files, and tells whether
// any has other bytes than before, also beside an error. When a later file cannot be written,
// earlier ones that are new are removed again. A part of the filter or mangle table that is empty
// has a file only if there was one: an old one would say something else.
func (p Plan) WriteRules(dir string) (files []string, changed bool, err error) {
	var fresh []string
	replaced := false // a file that was there has other bytes
	for _, table := range p.Tables.All() {
		path, text := filepath.Join(dir, generation.RulesFile(table)), rules.EncodeFile(table)
		info, err := os.Lstat(path)
		there := err == nil
		if !there && table.Name != rules.NAT && table.Empty() {
			continue
		}
		if !there {
			fresh = append(fresh, path)
		}
		same := there && info.Mode().IsRegular() && holds(path, text)
		if err := atomicfile.WriteFile(path, text, 0o644); err != nil {
			for _, path := range fresh {
				_ = os.Remove(path) // the last one may not be there
			}
			return nil, replaced, err
		}
		files = append(files, path)
		changed, replaced = changed || !same, replaced || there && !same
	}
	return files, changed, nil
}

// holds tells whether a file holds just this text.
func holds(path string, text []byte) bool {
	old, err := os.ReadFile(path)
	return err == nil && bytes.Equal(old, text)
}
