package restore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"natspread/internal/paths"
	"natspread/internal/rules"
)

// Keep is how many generations stay on disk.
const Keep = 10

// The files of a generation. The manifest has the checksums of the others.
const (
	configFile   = "natspread.toml"
	manifestFile = "manifest"
)

// RulesFile returns the name of a table's file: rules.v4 and rules.v6, the names that
// iptables-persistent made known, and filter.v4 and filter.v6.
func RulesFile(table rules.Table) string {
	name := "rules"
	if table.Name == rules.Filter {
		name = "filter"
	}
	if table.Family == rules.IPv6 {
		return name + ".v6"
	}
	return name + ".v4"
}

// Manifest says where a generation comes from and what belongs to it. It is
// written as JSON.
type Manifest struct {
	Generation int               `json:"generation"`
	Created    time.Time         `json:"created"` // UTC, whole seconds
	Command    string            `json:"command"` // the verb that made it, as in "rollback 3"
	Version    string            `json:"version"` // of natspread
	Variant    Variant           `json:"variant"` // of the iptables that it is for; nft or legacy
	Proven     bool              `json:"proven"`  // it was loaded in a scratch namespace, with that variant
	SHA256     map[string]string `json:"sha256"`  // of each other file, in hex
}

// Generation is one complete, verified set of files.
type Generation struct {
	Manifest
	Tables rules.Tables
	Config []byte // the config that the rules were made from
}

// Store is the generations below a root directory.
type Store struct{ Root string }

// path returns a place below the root.
func (s Store) path(elements ...string) string {
	return filepath.Join(append([]string{s.Root}, elements...)...)
}

// dir returns the directory of a generation, relative to the root.
func dir(number int) string { return filepath.Join(paths.Generations, strconv.Itoa(number)) }

// unconfirmedPrefix begins the name of a generation's directory until it is made current,
// while it is written, loaded, and waits to be confirmed: no number, so nobody takes it
// for one to fall back to.
const unconfirmedPrefix = ".unconfirmed-"

// unconfirmedDir is dir for a generation that is not current yet.
func unconfirmedDir(number int) string {
	return filepath.Join(paths.Generations, fmt.Sprint(unconfirmedPrefix, number))
}

// Numbers returns the numbers of the generations, the newest first: of those that were
// current once. Current goes on to ever higher ones, so a directory that is numbered
// above it was about to become it when a kill came. Where current leads nowhere each
// number counts.
func (s Store) Numbers() ([]int, error) {
	numbers, err := s.numbered()
	if current, unknown := s.CurrentNumber(); unknown == nil {
		numbers = slices.DeleteFunc(numbers, func(n int) bool { return n > current })
	}
	return numbers, err
}

// numbered returns the numbers that directories of generations have, the highest first.
func (s Store) numbered() ([]int, error) {
	entries, err := os.ReadDir(s.path(paths.Generations))
	if err != nil && !notExist(err) {
		return nil, fmt.Errorf("cannot list the generations: %w", err)
	}
	var numbers []int
	for _, entry := range entries {
		if number, ok := generationNumber(entry.Name()); ok {
			numbers = append(numbers, number)
		}
	}
	slices.SortFunc(numbers, func(a, b int) int { return b - a })
	return numbers, nil
}

// generationNumber reads a generation's number from the name of its directory.
func generationNumber(name string) (int, bool) {
	number, err := strconv.Atoi(name)
	return number, err == nil && number > 0 && strconv.Itoa(number) == name
}

// ErrNone says that no generation was ever made current.
var ErrNone = errors.New("no generation has been applied yet: run natspread apply")

// CurrentNumber returns the number of the generation that boot loads.
func (s Store) CurrentNumber() (int, error) {
	target, err := os.Readlink(s.path(paths.Current))
	if notExist(err) {
		return 0, ErrNone
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read %s: %w", s.path(paths.Current), err)
	}
	parent, name := filepath.Split(target)
	number, ok := generationNumber(name)
	if !ok || parent != "generations/" {
		return 0, fmt.Errorf("%s leads to %q, which is no generation", s.path(paths.Current), target)
	}
	return number, nil
}

// Read returns a generation, after every check that stands between a file on
// disk and the kernel: whose it is, who may write it, size, checksums, and the
// grammar of its rules.
func (s Store) Read(number int) (Generation, error) {
	generation, err := s.readFrom(dir(number), number)
	if err != nil {
		return Generation{}, notGood(number, err)
	}
	return generation, nil
}

// notGood says of which generation an error is.
func notGood(number int, err error) error {
	return fmt.Errorf("generation %d is not good: %w", number, err)
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
	generation.Config, err = s.readMember(dir, manifest, configFile)
	return generation, err
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
	if manifest.Generation != number {
		return Manifest{}, fmt.Errorf("%s is that of generation %d", manifestFile, manifest.Generation)
	}
	if v := manifest.Variant; v != NFT && v != Legacy {
		return Manifest{}, fmt.Errorf("%s: unknown variant %q", manifestFile, v)
	}
	return manifest, nil
}

// readRules reads the rules of a table, which is given without any. Where the filter
// table holds nothing it has no file.
func (s Store) readRules(dir string, manifest Manifest, table rules.Table) (rules.Table, error) {
	name := RulesFile(table)
	if _, listed := manifest.SHA256[name]; !listed && table.Name == rules.Filter {
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
		return rules.Table{}, fmt.Errorf("%s: %w", s.path(dir, name), err)
	}
	return table, nil
}

// errOtherFile says that a file is whole but belongs to another generation.
var errOtherFile = errors.New("its sha256 is not the one in the manifest")

// readMember reads a file of a generation whose checksum is in the manifest.
func (s Store) readMember(dir string, manifest Manifest, name string) ([]byte, error) {
	data, err := readTrusted(s.Root, filepath.Join(dir, name))
	if err == nil && manifest.SHA256[name] != checksum(data) {
		err = fmt.Errorf("%s: %w", s.path(dir, name), errOtherFile)
	}
	return data, err
}

// checksum returns the sha256 of data in hex.
func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// same tells whether two generations hold the same rules and the same config.
func (g Generation) same(other Generation) bool {
	others := other.Tables.All()
	for i, table := range g.Tables.All() {
		if !slices.EqualFunc(table.Chains, others[i].Chains, rules.Chain.Equal) {
			return false
		}
	}
	return bytes.Equal(g.Config, other.Config)
}
