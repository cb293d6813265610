package generation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// Overlay is what the kernel is to hold in place of a generation's own tables. Its record in
// /run, which a reboot forgets, is there exactly as long as the kernel is to hold it.
type Overlay struct {
	Base   int          // the number of the generation
	Tables rules.Tables // complete
	Note   []byte       // who is out, since when and why; opaque here
	Sum    string       // names the record: a record of other rules, or with another note, has another sum
	// Loading tells that a load of it began, and that its end is not recorded. A kill may have
	// ended the load, so nobody knows what the kernel holds.
	Loading bool
}

// overlayManifest is the file of a record that says what the record is made of. The files of
// rules are named as those of a generation. Each holds only the chains that differ from the
// generation's, so a backend that is out costs as much among thousands of services as among a few.
type overlayManifest struct {
	Base      int                 `json:"generation"`
	Namespace string              `json:"namespace"` // the network namespace of one boot
	Of        map[string]string   `json:"base"`      // the checksums of the generation's files
	SHA256    map[string]string   `json:"sha256"`    // of each other file, in hex
	Gone      map[string][]string `json:"gone"`      // by file of rules: chains that only the generation has
}

// The files of a record that no generation has.
const (
	noteFile    = "note"
	loadingFile = "loading" // empty: see Overlay.Loading
)

// ErrNoNamespace says that nothing can be recorded of what the kernel holds.
var ErrNoNamespace = errors.New("this kernel does not tell its network namespaces apart (SO_NETNS_COOKIE of Linux 5.14): what it holds could be taken for what another one holds")

// Overlay returns what the kernel is to hold in place of a generation's tables; nil where it
// is these. present tells that there is a record, whatever it is worth: one of another
// network namespace, of another generation, altered or not root's alone counts for nothing.
func (s Store) Overlay(base Generation) (overlay *Overlay, present bool) {
	data, err := readTrusted(s.Root, filepath.Join(paths.Overlay, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	var manifest overlayManifest
	if err == nil {
		err = json.Unmarshal(data, &manifest)
	}
	if err != nil || base.Number == 0 || s.Namespace == "" || manifest.Namespace != s.Namespace ||
		manifest.Base != base.Number || !maps.Equal(manifest.Of, base.SHA256) {
		return nil, true
	}
	overlay = &Overlay{Base: base.Number, Sum: checksum(data), Loading: exists(s.Path(paths.Overlay, loadingFile))}
	if overlay.Note, err = s.readMember(paths.Overlay, manifest.manifest(), noteFile); err != nil {
		return nil, true
	}
	if overlay.Tables, err = s.overlayTables(manifest, base.Tables); err != nil {
		return nil, true
	}
	return overlay, true
}

// manifest returns what the manifest of a generation has, too.
func (m overlayManifest) manifest() Manifest { return Manifest{Number: m.Base, SHA256: m.SHA256} }

// exists tells whether there is a file.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// overlayTables reads a record's tables, which are made from those of the base.
func (s Store) overlayTables(manifest overlayManifest, base rules.Tables) (rules.Tables, error) {
	places := base.Places()
	for i, table := range base.All() {
		name := RulesFile(table)
		if _, listed := manifest.SHA256[name]; !listed && len(manifest.Gone[name]) == 0 {
			continue
		}
		changed := rules.Table{Family: table.Family, Name: table.Name}
		if _, listed := manifest.SHA256[name]; listed {
			var err error
			if changed, err = s.readRules(paths.Overlay, manifest.manifest(), changed); err != nil {
				return rules.Tables{}, err
			}
		}
		places[i].Chains = table.With(changed.Chains, manifest.Gone[name])
	}
	return base, nil
}

// OverlaySwap is a record that takes the place of the one before it, or of none, while its
// rules are loaded. As long as neither Commit nor Revert is called, the record says so.
type OverlaySwap struct {
	Sum    string // of the new record; "" where there is to be none
	store  Store
	before string // where the record before it is now; "" where there was none, or it is still in place
	drops  bool   // there is to be no record: Commit removes the one in place
	marked bool   // with drops: DropOverlay gave that one its file loading
}

// WriteOverlay writes the record of an overlay of a generation, whose files are on disk, and
// puts it in the place of the one before.
func (s Store) WriteOverlay(base Generation, tables rules.Tables, note []byte) (OverlaySwap, error) {
	swap := OverlaySwap{store: s}
	if s.Namespace == "" {
		return swap, ErrNoNamespace
	}
	manifest, err := s.readManifest(s.waitingDir(base.Number), base.Number)
	if err != nil {
		return swap, fmt.Errorf("cannot record what is loaded: %w", err)
	}
	files, err := overlayFiles(overlayManifest{Base: base.Number, Namespace: s.Namespace, Of: manifest.SHA256}, base.Tables, tables, note)
	if err == nil {
		swap.Sum = checksum(files[manifestFile])
		swap.before, err = s.exchangeOverlay(files)
	}
	if err != nil {
		return swap, fmt.Errorf("cannot record what is loaded: %w", atomicfile.Cause(err))
	}
	return swap, nil
}

// overlayFiles returns the files of a record by name, with the checksums in its manifest.
func overlayFiles(manifest overlayManifest, base, tables rules.Tables, note []byte) (map[string][]byte, error) {
	files := map[string][]byte{noteFile: note}
	all := tables.All()
	manifest.Gone = map[string][]string{}
	for i, before := range base.All() {
		changed, gone := before.Changes(all[i])
		if len(changed.Chains) > 0 {
			files[RulesFile(before)] = rules.EncodeFile(changed)
		}
		if len(gone) > 0 {
			manifest.Gone[RulesFile(before)] = gone
		}
	}
	manifest.SHA256 = map[string]string{}
	for name, data := range files {
		manifest.SHA256[name] = checksum(data)
	}
	text, err := json.Marshal(manifest)
	files[manifestFile], files[loadingFile] = append(text, '\n'), nil
	return files, err
}

// newOverlay begins the name of a record that is not in place, beside the one that is.
const newOverlay = ".overlay-"

// exchangeOverlay writes the files of a record beside the one that is in place, and lets both
// change places in one step. It returns where that one is then, "" where there was none.
// Nothing is synced: a power cut takes /run, and what it leaves of a file fails its checksum.
func (s Store) exchangeOverlay(files map[string][]byte) (before string, err error) {
	temporary, err := os.MkdirTemp(s.directory(paths.Run), newOverlay)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temporary))
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(temporary, name), files[name], 0o600); err != nil {
			return "", err
		}
	}
	place := s.Path(paths.Overlay)
	err = unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, place, unix.RENAME_EXCHANGE)
	if errors.Is(err, fs.ErrNotExist) {
		return "", unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, place, unix.RENAME_NOREPLACE)
	}
	return temporary, err
}

// SweepRun removes what killed runs left in the run directory, which is natspread's alone:
// temporary files of all records, and records of overlays beside the one that is in place. The
// caller holds the lock. What cannot be removed does no harm, and is tried again by the next.
func (s Store) SweepRun() {
	run := s.directory(paths.Run)
	_ = atomicfile.Sweep(run)
	entries, _ := os.ReadDir(run)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), newOverlay) {
			_ = os.RemoveAll(filepath.Join(run, entry.Name()))
		}
	}
}

// DropOverlay begins to drop the record, before the kernel is given something else. If a full
// disk takes no file that says so, the record is removed at once.
func (s Store) DropOverlay() OverlaySwap {
	swap := OverlaySwap{store: s, drops: true}
	if !exists(s.Path(paths.Overlay)) || exists(s.Path(paths.Overlay, loadingFile)) {
		return swap
	}
	swap.marked = true
	if err := os.WriteFile(s.Path(paths.Overlay, loadingFile), nil, 0o600); err != nil {
		_ = s.removeOverlay()
	}
	return swap
}

// removeOverlay removes the record in one step.
func (s Store) removeOverlay() error {
	place, gone := s.Path(paths.Overlay), s.Path(paths.Run, newOverlay+"gone")
	err := errors.Join(os.RemoveAll(gone), ignoreMissing(os.Rename(place, gone)))
	if err = errors.Join(err, os.RemoveAll(gone)); err != nil {
		return fmt.Errorf("cannot remove %s: %w", place, atomicfile.Cause(err))
	}
	return nil
}

// ignoreMissing returns an error unless it says that something is not there.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Commit says that the kernel holds what it is to hold now.
func (w OverlaySwap) Commit() error {
	if w.drops && !exists(w.store.Path(paths.Overlay)) {
		return nil
	}
	if w.drops {
		return w.store.removeOverlay()
	}
	err := ignoreMissing(os.Remove(w.store.Path(paths.Overlay, loadingFile)))
	if w.before != "" {
		err = errors.Join(err, os.RemoveAll(w.before))
	}
	return err
}

// Revert says that the kernel holds again what it held before, and puts the record of that
// back, if there was one.
func (w OverlaySwap) Revert() error {
	place := w.store.Path(paths.Overlay)
	switch {
	case w.drops && !w.marked:
		return nil
	case w.drops:
		return ignoreMissing(os.Remove(filepath.Join(place, loadingFile)))
	case w.before == "":
		return w.store.removeOverlay()
	}
	if err := unix.Renameat2(unix.AT_FDCWD, w.before, unix.AT_FDCWD, place, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("cannot put %s back: %w", place, err)
	}
	return os.RemoveAll(w.before)
}

// OverlaySum names the record that is in place, whatever it is worth; "" where there is none.
// Each load of another overlay changes it.
func (s Store) OverlaySum() string {
	data, err := readTrusted(s.Root, filepath.Join(paths.Overlay, manifestFile))
	if err != nil {
		return ""
	}
	return checksum(data)
}

// OverlayNote returns the note of the record that is in place, of whichever generation that
// is; nil where there is no record of this network namespace.
func (s Store) OverlayNote() []byte {
	data, err := readTrusted(s.Root, filepath.Join(paths.Overlay, manifestFile))
	var manifest overlayManifest
	if err != nil || json.Unmarshal(data, &manifest) != nil || s.Namespace == "" || manifest.Namespace != s.Namespace {
		return nil
	}
	note, err := s.readMember(paths.Overlay, manifest.manifest(), noteFile)
	if err != nil {
		return nil
	}
	return note
}

// ReadRun reads a file of this boot, with the distrust of a generation's files.
func (s Store) ReadRun(path string) ([]byte, error) { return readTrusted(s.Root, path) }

// WriteRun replaces a file of this boot.
func (s Store) WriteRun(path string, data []byte) error {
	return atomicfile.WriteFile(s.Path(path), data, 0o600)
}
