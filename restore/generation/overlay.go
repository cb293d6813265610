package generation

import (
	"natspread/internal/atomicfile"
	"natspread/internal/rules"
)

// Overlay is what the kernel is to hold in place of a generation's own tables.
type Overlay struct {
	Base    int          // the number of that generation
	Tables  rules.Tables // complete
	Note    []byte       // who is out, since when and why: health.Note
	Sum     string       // names the record: another one has another
	Loading bool         // a load began, and nobody knows what became of it
	Parked  []Parked     // what was counted for rules that are not there now
}

// Parked are the connections that a rule counted before its chain was replaced by one without
// it.
type Parked struct {
	Family         rules.Family
	Service        string
	Protocol       string
	Target         rules.Target
	Packets, Bytes uint64
}

// Tables returns what the kernel is to hold: the generation's tables, or those of its overlay.
func (w Wanted) Tables() rules.Tables {
	if w.Overlay != nil {
		return w.Overlay.Tables
	}
	return w.Generation.Tables
}

// Note returns who is out, and why; nil where nobody is.
func (w Wanted) Note() []byte {
	if w.Overlay == nil {
		return nil
	}
	return w.Overlay.Note
}

// ReadRun reads a file of this boot, with the distrust of a generation's files.
func (s Store) ReadRun(path string) ([]byte, error) { return readTrusted(s.Root, path) }

// WriteRun replaces such a file.
func (s Store) WriteRun(path string, data []byte) error {
	return atomicfile.WriteFile(s.Path(path), data, 0o600)
}
