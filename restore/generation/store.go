package generation

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"natspread/internal/atomicfile"
	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// Keep is how many generations stay on disk.
const Keep = 10

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

// Manifest says where a generation comes from and what belongs to it. It is
// written as JSON.
type Manifest struct {
	Number  int               `json:"generation"`
	Created time.Time         `json:"created"` // UTC, whole seconds
	Command string            `json:"command"` // the verb that made it, as in "rollback 3"
	Version string            `json:"version"` // of natspread
	Variant rules.Variant     `json:"variant"` // of the iptables that it is for; nft or legacy
	Proven  bool              `json:"proven"`  // it was loaded in a scratch namespace, with that variant
	SHA256  map[string]string `json:"sha256"`  // of each other file, in hex
}

// Generation is one complete, verified set of files.
type Generation struct {
	Manifest
	Tables rules.Tables
	Config configfiles.Set // the config that the rules were made from
	// Services is the file that says what the rules balance, as rules.EncodeServices writes
	// it; nil in a generation that natspread 0.1 wrote.
	Services []byte
	// TakenOut is what the load of the generation took out of the nat tables of others, for second
	// thoughts. It is written beside the rules, and never read with them: see Store.TakenOutNotes.
	TakenOut []rules.Taken
}

// RulesSum returns one sha256, in hex, for all rules of the generation: the sum of what
// sha256sum prints of its rules files, in the order of rules.Tables; "" for None. Balancers with
// the same sum hold the same rules, as long as no backend is out.
func (g Generation) RulesSum() string {
	if g.Number == 0 {
		return ""
	}
	var lines []byte
	for _, table := range rules.NoTables().All() {
		if sum, listed := g.SHA256[RulesFile(table)]; listed {
			lines = fmt.Appendf(lines, "%s  %s\n", sum, RulesFile(table))
		}
	}
	return checksum(lines)
}

// None is the generation that stands for nothing applied: no number, no rules.
func None() Generation { return Generation{Tables: rules.NoTables()} }

// Store is the generations below a root directory.
type Store struct {
	Root string
	// Namespace names the network namespace that records below /run must be of, as
	// namespace.ID does: a trial of another one is not pending here, and what was loaded in
	// another one, or in another boot, says nothing. "" takes every trial.
	Namespace string
}

// Path returns a place below the root.
//
// In an image the links on the way are the image's: they are followed as the image will
// follow them when it has booted, and never out of it. The last element is not followed.
func (s Store) Path(elements ...string) string {
	path := filepath.Join(elements...)
	return filepath.Join(s.directory(filepath.Dir(path)), filepath.Base(path))
}

// directory is Path for a directory, which is followed too. One that cannot be resolved is
// taken for a place that cannot be: /dev/null is no directory.
func (s Store) directory(path string) string {
	resolved, err := atomicfile.Resolve(s.Root, path, nil)
	if err != nil {
		return os.DevNull
	}
	return resolved
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

// Numbers returns the numbers of the generations, the newest first: of the newest Keep that
// were current once. Older ones are those that Prune was to remove, so they count for nothing,
// however many there are.
func (s Store) Numbers() ([]int, error) {
	numbers, _, err := s.split()
	return numbers[:min(Keep, len(numbers))], err
}

// split returns the numbers of the generations that were current once, the newest first, and
// of others. Current goes on to ever higher numbers, so a directory that is numbered above it
// was about to become it when a kill came. Where current leads nowhere each number counts.
func (s Store) split() (once, never []int, err error) {
	numbers, err := s.numbered()
	above := 0
	if current, unknown := s.CurrentNumber(); unknown == nil {
		for above < len(numbers) && numbers[above] > current {
			above++
		}
	}
	return numbers[above:], numbers[:above], err
}

// numbered returns the numbers that directories of generations have, the highest first.
func (s Store) numbered() ([]int, error) {
	dir, err := atomicfile.Resolve(s.Root, paths.Generations, nil)
	var entries []fs.DirEntry
	if err == nil {
		entries, err = os.ReadDir(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list the generations: %w", err)
	}
	var numbers []int
	for _, entry := range entries {
		if number, ok := generationNumber(entry.Name()); ok {
			numbers = append(numbers, number)
		}
	}
	slices.SortFunc(numbers, func(a, b int) int { return cmp.Compare(b, a) })
	return numbers, nil
}

// maxNumber is the highest number of a generation: JSON readers keep integers up to it, and
// nothing overflows behind it.
const maxNumber = 1 << 53

// generationNumber reads a generation's number from the name of its directory; 0 is none.
func generationNumber(name string) (number int, ok bool) {
	number, err := strconv.Atoi(name)
	if err != nil || number <= 0 || number > maxNumber || strconv.Itoa(number) != name {
		return 0, false
	}
	return number, true
}

// ErrNone says that no generation was ever made current.
var ErrNone = errors.New("no generation has been applied yet: run natspread apply")

// CurrentNumber returns the number of the generation that boot loads.
func (s Store) CurrentNumber() (int, error) {
	target, err := os.Readlink(s.Path(paths.Current))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrNone
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read %s: %w", s.Path(paths.Current), err)
	}
	parent, name := filepath.Split(target)
	number, ok := generationNumber(name)
	if !ok || parent != "generations/" {
		return 0, fmt.Errorf("%s leads to %q, which is no generation", s.Path(paths.Current), target)
	}
	return number, nil
}

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

// configName returns the name that a file of a generation has in the config, and whether it is one
// of the config.
func configName(member string) (name string, is bool) {
	if member == oldConfig {
		return configfiles.Main, true
	}
	return strings.CutPrefix(member, configDir+"/")
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

// checksum returns the sha256 of data in hex.
func checksum(data []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// Outdated says why a new generation is needed for what is wanted, though this one is
// current; "" when this one serves: same rules, same config, proven with the same variant.
func (g Generation) Outdated(wanted Generation) string {
	switch {
	case g.Number == 0:
		return "there is none"
	case g.Variant != wanted.Variant:
		return fmt.Sprintf("generation %d was made for the %s variant of iptables", g.Number, g.Variant)
	case !g.Proven:
		return fmt.Sprintf("generation %d was not proven on this host", g.Number)
	case !g.Tables.Equal(wanted.Tables):
		return fmt.Sprintf("generation %d has other rules", g.Number)
	case !g.MadeFrom(wanted.Config):
		return fmt.Sprintf("the text of the config differs from that of generation %d", g.Number)
	}
	return ""
}

// MadeFrom tells whether a config has, to the byte, the files that a generation was made from.
func (g Generation) MadeFrom(files configfiles.Set) bool { return g.Config.Equal(files) }

// sums returns the checksums of the files, by the names that natspread gives them now.
func (m Manifest) sums() map[string]string {
	sums := maps.Clone(m.SHA256)
	if sum, old := sums[oldConfig]; old {
		delete(sums, oldConfig)
		sums[path.Join(configDir, configfiles.Main)] = sum
	}
	return sums
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
