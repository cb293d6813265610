package change

import (
	"os"
	"path/filepath"

	"natspread/internal/atomicfile"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// WriteRules writes the rules of all tables into a directory and returns the files. When a
// later file cannot be written, earlier ones that are new are removed again. A part of the
// filter table that is empty has a file only if there was one: an old one would say something else.
func (p Plan) WriteRules(dir string) (files []string, err error) {
	var fresh []string
	for _, table := range p.Tables.All() {
		path := filepath.Join(dir, generation.RulesFile(table))
		if _, err := os.Lstat(path); err != nil {
			if table.Name == rules.Filter && table.Empty() {
				continue
			}
			fresh = append(fresh, path)
		}
		if err := atomicfile.WriteFile(path, rules.EncodeFile(table), 0o644); err != nil {
			for _, path := range fresh {
				_ = os.Remove(path) // it may not even have come to be
			}
			return nil, err
		}
		files = append(files, path)
	}
	return files, nil
}
