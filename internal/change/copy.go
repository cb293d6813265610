package change

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/suggest"
	"natspread/internal/text"
)

// Copy is a file of a config that somebody edits while the file itself stays as it is.
type Copy struct {
	File string // what is edited
	Of   string // the file that it is a copy of

	config string // the name of the config
	name   string // of the file in the config
	path   string // of the file, behind links
	before []byte
}

// NewCopy copies a file of a config into a directory that no other user may read. file is its name
// in the config, or its path, or the end of that; "" is natspread.toml. The copy has the name of
// the file: editors know by the name what is in it.
func NewCopy(config, file string) (Copy, error) {
	files, err := Read(config, nil)
	if err != nil {
		return Copy{}, &UnreadError{err}
	}
	of, err := choose(files, config, file)
	if err != nil {
		return Copy{}, err
	}
	path, err := filepath.EvalSymlinks(of.Path)
	if err != nil {
		return Copy{}, fmt.Errorf("cannot find %s: %w", of.Path, atomicfile.Cause(err))
	}
	dir, err := os.MkdirTemp("", "natspread-")
	copied := filepath.Join(dir, filepath.Base(path))
	if err == nil {
		err = os.WriteFile(copied, of.Text, 0o600)
	}
	if err != nil {
		return Copy{}, fmt.Errorf("cannot copy %s: %w", of.Path, err)
	}
	return Copy{File: copied, Of: of.Path, config: config, name: of.Name, path: path, before: of.Text}, nil
}

// choose returns the file of a config that is meant.
func choose(files configfiles.Set, config, meant string) (configfiles.File, error) {
	var names, bases []string
	for _, f := range files {
		name := f.Name
		if name == configfiles.Main { // which --config may give another name
			name = filepath.Base(config)
		}
		names, bases = append(names, name), append(bases, filepath.Base(name))
		if meant == "" && f.Name == configfiles.Main || slices.Contains([]string{name, filepath.Base(name), f.Path}, filepath.Clean(meant)) {
			return f, nil
		}
	}
	if meant == "" {
		return configfiles.File{}, fmt.Errorf("%s does not exist; fix: natspread edit %s", text.OneLine(config), text.OneLine(names[0]))
	}
	if near := suggest.Word(filepath.Base(meant), bases); near != "" {
		return configfiles.File{}, fmt.Errorf("the config has no file %s: did you mean %s?", text.OneLine(meant), near)
	}
	return configfiles.File{}, fmt.Errorf("the config has no file %s, but %s", text.OneLine(meant), strings.Join(names[:min(len(names), 10)], ", "))
}

// Load checks the config with the copy in place of its file. Errors in the copy name the copy; the
// plan has the name of the config.
func (c Copy) Load() (plan Plan, changed bool, err error) {
	text, err := readFile(c.File, config.MaxSize)
	if err != nil {
		return Plan{}, false, &UnreadError{readError(c.File, err)}
	}
	files, err := Read(c.config, nil)
	if err != nil {
		return Plan{}, false, &UnreadError{err}
	}
	if plan, err = Parse(c.config, files.With(configfiles.File{Name: c.name, Path: c.File, Text: text})); err != nil {
		return Plan{}, false, err
	}
	return plan, !bytes.Equal(text, c.before), nil
}

// Save puts a plan's text of the copy into the file, unless somebody else changed the file since it
// was copied.
func (c Copy) Save(plan Plan) error {
	now, err := readFile(c.path, config.MaxSize)
	if err == nil && !bytes.Equal(now, c.before) {
		err = fmt.Errorf("%s was edited by somebody else meanwhile", c.Of)
	}
	if err != nil {
		return err
	}
	err = atomicfile.ReplaceFile(c.path, plan.Files[plan.Files.At(c.name)].Text)
	if errors.Is(err, atomicfile.ErrUnsynced) {
		if failed := atomicfile.ReplaceFile(c.path, c.before); failed != nil && !errors.Is(failed, atomicfile.ErrUnsynced) {
			return fmt.Errorf("%w, but it is still edited: cannot put it back: %w", err, atomicfile.Cause(failed))
		}
	}
	return err
}

// Remove removes the copy.
func (c Copy) Remove() { _ = os.RemoveAll(filepath.Dir(c.File)) }
