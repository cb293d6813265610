package generation

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"natspread/internal/configfiles"
	"natspread/internal/rules"
)

// Read returns a generation, after every check that stands between a file on
// disk and the kernel: whose it is, who may write it, size, checksums, and the
// grammar of its rules.
func (s Store) Read(number int) (Generation, error) { return s.good(dir(number), number) }

// good reads a generation from its directory, and says of which one an error is.
func (s Store) good(dir string, number int) (Generation, error) {
	generation, err := s.readFrom(dir, number)
	if err != nil {
		return Generation{}, fmt.Errorf("generation %d is not good: %w", number, err)
	}
	return generation, nil
}

// readFrom reads a generation from its directory, which is relative to the root.
func (s Store) readFrom(dir string, number int) (Generation, error) {
	manifest, err := s.readManifest(dir, number)
	if err != nil {
		return Generation{}, err
	}
	generation := Generation{Manifest: manifest}
	for i, table := range rules.NoTables().All() {
		if table, err = s.readRules(dir, manifest, table); err != nil {
			return Generation{}, err
		}
		*generation.Tables.Places()[i] = table
	}
	if _, listed := manifest.SHA256[servicesFile]; listed {
		if generation.Services, err = s.readMember(dir, manifest, servicesFile); err != nil {
			return Generation{}, err
		}
	}
	generation.Config, err = s.readConfig(dir, manifest)
	return generation, err
}

// readConfig reads the files of the config that a generation was made from.
func (s Store) readConfig(dir string, manifest Manifest) (files configfiles.Set, err error) {
	for member := range manifest.SHA256 {
		name, is := configName(member)
		switch {
		case !is:
			continue
		case !configfiles.IsName(name):
			return nil, fmt.Errorf("%s: %q is no name of a config's file", manifestFile, name)
		}
		file := configfiles.File{Name: name, Path: s.Path(dir, member)}
		if file.Text, err = s.readMember(dir, manifest, member); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if files == nil {
		return nil, fmt.Errorf("%s names no config", manifestFile)
	}
	files.Order()
	return files, nil
}

// readManifest reads what says where a generation comes from, and what belongs to it.
func (s Store) readManifest(dir string, number int) (manifest Manifest, err error) {
	data, err := readTrusted(s.Root, filepath.Join(dir, manifestFile))
	if err != nil {
		return Manifest{}, err
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", manifestFile, err)
	}
	if manifest.Number != number {
		return Manifest{}, fmt.Errorf("%s is that of generation %d", manifestFile, manifest.Number)
	}
	if v := manifest.Variant; v != rules.NFT && v != rules.Legacy {
		return Manifest{}, fmt.Errorf("%s: unknown variant %q", manifestFile, v)
	}
	return manifest, nil
}

// readRules reads the rules of a table, which is given without any. A table of which natspread
// has only a part, and none of it, has no file.
func (s Store) readRules(dir string, manifest Manifest, table rules.Table) (rules.Table, error) {
	name := RulesFile(table)
	if _, listed := manifest.SHA256[name]; !listed && table.Name != rules.NAT {
		return table, nil
	}
	data, err := readTrusted(s.Root, filepath.Join(dir, name))
	if err != nil {
		return rules.Table{}, err
	}
	// What is wrong with the file by itself says more than a checksum does.
	table, err = rules.DecodeFile(table.Family, table.Name, data)
	if err == nil && manifest.SHA256[name] != checksum(data) {
		err = errOtherFile
	}
	if err != nil {
		return rules.Table{}, fmt.Errorf("%s: %w", s.Path(dir, name), err)
	}
	return table, nil
}

// errOtherFile says that a file is whole but belongs to another generation.
var errOtherFile = errors.New("its sha256 is not the one in the manifest")

// readMember reads a file of a generation whose checksum is in the manifest.
func (s Store) readMember(dir string, manifest Manifest, name string) ([]byte, error) {
	data, err := readTrusted(s.Root, filepath.Join(dir, name))
	if err == nil && manifest.SHA256[name] != checksum(data) {
		err = fmt.Errorf("%s: %w", s.Path(dir, name), errOtherFile)
	}
	return data, err
}
