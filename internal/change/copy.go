package change

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"natspread/internal/atomicfile"
)

// Copy is a config that somebody edits while its file stays as it is.
type Copy struct {
	File string // what is edited

	name   string // of the config
	path   string // the same, behind links
	before []byte
}

// NewCopy copies a config into a directory that no other user may read. The copy has the name of the file: editors
// know by the name what is in it.
func NewCopy(name string) (Copy, error) {
	before, err := Read(name, nil)
	if err != nil {
		return Copy{}, &UnreadError{err}
	}
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return Copy{}, fmt.Errorf("cannot find %s: %w", name, atomicfile.Cause(err))
	}
	dir, err := os.MkdirTemp("", "natspread-")
	file := filepath.Join(dir, filepath.Base(path))
	if err == nil {
		err = os.WriteFile(file, before, 0o600)
	}
	if err != nil {
		return Copy{}, fmt.Errorf("cannot copy %s: %w", name, err)
	}
	return Copy{File: file, name: name, path: path, before: before}, nil
}

// Load checks the copy. Errors name it; the plan is one of the config.
func (c Copy) Load() (plan Plan, changed bool, err error) {
	if plan, err = Load(c.File, nil); err != nil {
		return Plan{}, false, err
	}
	plan.Name = c.name
	return plan, !bytes.Equal(plan.Text, c.before), nil
}

// Save puts a text into the file, unless somebody else changed that since it was copied.
func (c Copy) Save(text []byte) error {
	now, err := Read(c.path, nil)
	if err == nil && !bytes.Equal(now, c.before) {
		err = fmt.Errorf("%s was edited by somebody else meanwhile", c.name)
	}
	if err != nil {
		return err
	}
	return atomicfile.ReplaceFile(c.path, text)
}

// Remove removes the copy.
func (c Copy) Remove() { _ = os.RemoveAll(filepath.Dir(c.File)) }
