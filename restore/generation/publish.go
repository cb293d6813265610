package generation

import (
	"bytes"
	"context"
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

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// Write writes a new generation and returns its number. It is not current yet, and its
// files are synced but not its name: until SetCurrent a power cut may take it. It goes the
// way that boot goes, and is then read as boot will read it: what boot would refuse is an
// error. A failure leaves nothing behind.
func (s Store) Write(generation Generation) (number int, err error) {
	if err := trustWay(s.Root, paths.Generations); err != nil {
		return 0, fmt.Errorf("boot would refuse a generation: %w", err)
	}
	if number, err = s.WriteImage(generation); err != nil {
		return 0, err
	}
	if err := s.bootReads(number); err != nil {
		return 0, errors.Join(fmt.Errorf("boot would refuse generation %d: %w", number, err), s.remove(number))
	}
	return number, nil
}

// WriteImage is Write for an image, which may still be anybody's who bakes it: nothing is
// read back.
func (s Store) WriteImage(generation Generation) (number int, err error) {
	if err := s.makeDirectories(); err != nil {
		return 0, fmt.Errorf("cannot write a generation: %w", err)
	}
	if err := s.Sweep(); err != nil {
		return 0, err
	}
	if generation.Number, err = s.next(); err != nil {
		return 0, err
	}
	if err := s.write(generation); err != nil {
		return 0, fmt.Errorf("cannot write generation %d: %w", generation.Number, err)
	}
	return generation.Number, nil
}

// Holds tells whether the current generation is made of the same bytes as one that is to be
// written into an image: the same rules, config and variant of iptables, whenever and by whom
// it was made. It reads them all, and asks for no owner: an image may still be anybody's.
func (s Store) Holds(generation Generation) (number int, held bool) {
	number, err := s.CurrentNumber()
	if err != nil {
		return 0, false
	}
	files, err := members(&generation)
	if err != nil {
		return 0, false
	}
	data, err := os.ReadFile(s.Path(dir(number), manifestFile))
	var manifest Manifest
	if err != nil || json.Unmarshal(data, &manifest) != nil || manifest.Number != number ||
		manifest.Variant != generation.Variant || !maps.Equal(manifest.SHA256, generation.SHA256) {
		return 0, false
	}
	for name := range generation.SHA256 {
		data, err := os.ReadFile(s.Path(dir(number), name))
		if err != nil || !bytes.Equal(data, files[name]) {
			return 0, false
		}
	}
	return number, true
}

// makeDirectories makes the directories of the generations, which are root's alone; those
// above belong to others, and are made as they make them.
func (s Store) makeDirectories() error {
	if _, err := atomicfile.Resolve(s.Root, paths.Generations, nil); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(filepath.Dir(s.directory(paths.State)), 0o755); err != nil {
		return err
	}
	return atomicfile.MkdirAll(s.directory(paths.Generations), 0o700)
}

// RevertDirectories returns a function that removes those directories on the way to the
// generations that are not there yet.
func (s Store) RevertDirectories() (revert func()) {
	var missing []string // the innermost first
	for dir := s.directory(paths.Generations); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, dir)
	}
	return func() {
		for _, dir := range missing {
			_ = os.Remove(dir) // one that is not empty stays
		}
	}
}

// next returns the number of the next generation: above all that there are, and above the
// last one that was tried, which people may have read of.
func (s Store) next() (int, error) {
	numbers, err := s.Numbers()
	if err != nil {
		return 0, err
	}
	number := slices.Max(append(numbers, s.lastTried())) + 1
	if number > maxNumber {
		return 0, fmt.Errorf("cannot write a generation: %d is the highest number that one can have", maxNumber)
	}
	return number, nil
}

// write writes a generation's files into the directory that it has until it is current.
func (s Store) write(generation Generation) (err error) {
	directory := s.Path(unconfirmedDir(generation.Number))
	if err := os.Mkdir(directory, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(directory)
		}
	}()
	files, err := members(&generation)
	if err != nil {
		return err
	}
	for name, data := range files {
		file := filepath.Join(directory, name)
		err := atomicfile.MkdirAll(filepath.Dir(file), 0o700)
		if err == nil {
			err = atomicfile.WriteFile(file, data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// members returns the files of a generation by name, and fills in the checksums.
func members(generation *Generation) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, f := range generation.Config {
		files[path.Join(configDir, f.Name)] = f.Text
	}
	if generation.Services != nil {
		files[servicesFile] = generation.Services
	}
	for _, table := range generation.Tables.All() {
		if table.Name == rules.NAT || !table.Empty() {
			files[RulesFile(table)] = rules.EncodeFile(table)
		}
	}
	for _, family := range rules.Families() {
		if text := rules.TakenText(family, generation.TakenOut); text != nil {
			files[takenOutFile(family)] = text
		}
	}
	generation.SHA256 = map[string]string{}
	for name, data := range files {
		generation.SHA256[name] = checksum(data)
	}
	manifest, err := json.MarshalIndent(generation.Manifest, "", "  ")
	files[manifestFile] = append(manifest, '\n')
	return files, err
}

// SetCurrent makes a generation that was written the one that boot loads: its directory
// is numbered, and then current leads to it. Killed in between it can be repeated, or left:
// what is numbered above current counts for nothing.
func (s Store) SetCurrent(number int) error {
	err := os.Rename(s.Path(unconfirmedDir(number)), s.Path(dir(number)))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Lstat(s.Path(dir(number))) // where it is after such a kill
	}
	if err == nil {
		err = atomicfile.SyncDir(s.directory(paths.Generations))
	}
	if err == nil {
		err = s.pointCurrent(filepath.Join(filepath.Base(paths.Generations), strconv.Itoa(number)))
	}
	if err != nil {
		return fmt.Errorf("cannot make generation %d current: %w", number, err)
	}
	return nil
}

// pointCurrent lets current lead to a target; with "" it takes current away.
func (s Store) pointCurrent(target string) error {
	if target != "" {
		return atomicfile.Symlink(target, s.Path(paths.Current))
	}
	if err := os.Remove(s.Path(paths.Current)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return atomicfile.SyncDir(s.directory(paths.State))
}

// remove deletes a generation, current once or never.
func (s Store) remove(number int) error {
	for _, dir := range []string{dir(number), unconfirmedDir(number)} {
		if err := os.RemoveAll(s.Path(dir)); err != nil {
			return fmt.Errorf("cannot remove generation %d: %w", number, err)
		}
	}
	return atomicfile.SyncDir(s.directory(paths.Generations))
}

// Prune deletes all but the newest generations, of which current is the first. It needs no
// lock, and its caller should hold none, as it may take long. What it deletes counts for nothing,
// and never will: current only goes on to higher numbers. Nothing is synced: what a power cut
// brings back is deleted by the next Prune.
func (s Store) Prune(ctx context.Context) error {
	once, _, err := s.split()
	if err != nil {
		return err
	}
	for _, number := range once[min(Keep, len(once)):] {
		if ctx.Err() != nil {
			return nil // the next Prune goes on
		}
		if err := os.RemoveAll(s.Path(dir(number))); err != nil {
			return fmt.Errorf("cannot remove generation %d: %w", number, err)
		}
	}
	return nil
}

// Sweep removes what a killed run left: generations that never became current, and temporary
// links beside current. The caller holds the lock, and no generation waits to be confirmed, so
// none is in use.
func (s Store) Sweep() error {
	entries, err := os.ReadDir(s.directory(paths.Generations))
	if err != nil {
		return err
	}
	_, never, err := s.split()
	if err != nil {
		return err
	}
	var left []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unconfirmedPrefix) {
			left = append(left, entry.Name())
		}
	}
	for _, number := range never {
		left = append(left, strconv.Itoa(number))
	}
	for _, name := range left {
		if err := os.RemoveAll(s.Path(paths.Generations, name)); err != nil {
			return err
		}
	}
	return atomicfile.Sweep(s.directory(paths.State), filepath.Base(paths.Current))
}

// Publication is a generation on its way to be current.
type Publication struct {
	Number int
	store  Store
	before string // where current led to; "" when it was not there
	needed bool   // false when the generation is current already
}

// Prepare writes a generation that is to become current, unless it is already.
func (s Store) Prepare(wanted Generation) (Publication, error) {
	if wanted.Number != 0 {
		return Publication{Number: wanted.Number}, nil
	}
	before, err := os.Readlink(s.Path(paths.Current))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Publication{}, fmt.Errorf("cannot read %s: %w", s.Path(paths.Current), err)
	}
	number, err := s.Write(wanted)
	return Publication{Number: number, store: s, before: before, needed: true}, err
}

// bootReads reads a generation that was just written as boot will: what boot would refuse,
// because of a link, an owner or a mode on the way, must not be reported as applied.
func (s Store) bootReads(number int) error {
	directory := unconfirmedDir(number)
	manifest, err := s.readManifest(directory, number)
	for name := range manifest.SHA256 {
		if err == nil {
			_, err = s.readMember(directory, manifest, name)
		}
	}
	return err
}

// Publish makes the generation current.
func (p Publication) Publish() error {
	if !p.needed {
		return nil
	}
	return p.store.SetCurrent(p.Number)
}

// Abandon makes current what was so before, and removes the generation.
func (p Publication) Abandon() error {
	if !p.needed {
		return nil
	}
	var err error
	// A disk that took no new link takes none back either, and need not.
	if now, _ := os.Readlink(p.store.Path(paths.Current)); now != p.before {
		err = p.store.pointCurrent(p.before)
	}
	return errors.Join(err, p.store.remove(p.Number))
}
