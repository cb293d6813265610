package generation

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// The files of a generation. The manifest has the checksums of the others.
const (
	configDir    = "config"         // below it the config's files have their own names
	oldConfig    = "natspread.toml" // the config of a generation that natspread 0.1 wrote
	servicesFile = "services"
	manifestFile = "manifest"
)

// RulesFile returns the name of a table's file: rules.v4 and rules.v6, the names that
// iptables-persistent made known, and filter.v4 and mangle.v6, say, for a part of those.
func RulesFile(table rules.Table) string {
	name := "rules"
	if table.Name != rules.NAT {
		name = table.Name.String()
	}
	if table.Family == rules.IPv6 {
		return name + ".v6"
	}
	return name + ".v4"
}

// configName returns the name that a file of a generation has in the config, and whether it is one
// of the config.
func configName(member string) (name string, is bool) {
	if member == oldConfig {
		return configfiles.Main, true
	}
	return strings.CutPrefix(member, configDir+"/")
}

// Files returns where the files of a generation are, below the root, and the link
// that makes it current.
func (s Store) Files(number int) []string {
	files := append([]string{paths.Current, filepath.Join(dir(number), manifestFile)}, s.configFiles(number)...)
	optional := []string{servicesFile}
	for _, table := range rules.NoTables().All() {
		if table.Name == rules.NAT {
			files = append(files, filepath.Join(dir(number), RulesFile(table)))
		} else {
			optional = append(optional, RulesFile(table))
		}
	}
	for _, family := range rules.Families() {
		optional = append(optional, takenOutFile(family))
	}
	for _, name := range optional {
		file := filepath.Join(dir(number), name)
		if _, err := os.Lstat(s.Path(file)); err == nil {
			files = append(files, file)
		}
	}
	return files
}

// configFiles returns where the files of the config of a generation are, below the root.
func (s Store) configFiles(number int) []string {
	var files []string
	for _, below := range []string{configDir, path.Join(configDir, configfiles.Dir)} {
		directory := filepath.Join(dir(number), below)
		entries, _ := os.ReadDir(s.Path(directory)) // of natspread 0.1 there is none
		for _, entry := range entries {
			if !entry.IsDir() {
				files = append(files, filepath.Join(directory, entry.Name()))
			}
		}
	}
	if files == nil {
		files = []string{filepath.Join(dir(number), oldConfig)}
	}
	return files
}
