package change

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"natspread/internal/atomicfile"
	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/suggest"
	"natspread/internal/text"
)

// Read returns the files of the config called name: that file, and those of conf.d beside it. "-"
// is stdin, which has no conf.d. It reads regular files, of at most config.MaxSize bytes in sum,
// and nothing else: a FIFO would block, and a device may never end. The error where no file exists
// wraps fs.ErrNotExist.
func Read(name string, stdin io.Reader) (configfiles.Set, error) {
	if name == "-" {
		data, err := readBounded(stdin, config.MaxSize)
		if err != nil {
			return nil, readError("stdin", err)
		}
		return configfiles.Alone("stdin", data), nil
	}
	if whole := wholeOf(name); whole != "" {
		return nil, fmt.Errorf("cannot read config %s: it is one of the files of %s; fix: --config %[2]s", text.OneLine(name), text.OneLine(whole))
	}
	files, err := list(name)
	if err != nil {
		return nil, err
	}
	left := config.MaxSize
	for i, f := range files {
		if files[i].Text, err = readFile(f.Path, left); err != nil {
			return nil, readError(f.Path, err)
		}
		left -= len(files[i].Text)
	}
	return files, nil
}

// list returns the files of a config, without their texts. The one called natspread.toml need not be
// there where conf.d has a file; one that has another name was asked for.
func list(name string) (configfiles.Set, error) {
	files, err := listDir(name)
	if err != nil {
		return nil, err
	}
	_, missing := os.Lstat(name)
	if len(files) > 0 && filepath.Base(name) == configfiles.Main && errors.Is(missing, fs.ErrNotExist) {
		return files, nil
	}
	return append(configfiles.Alone(name, nil), files...), nil
}

// listDir returns the files that count of conf.d beside a config, without their texts. An empty
// directory is as good as none.
func listDir(name string) (configfiles.Set, error) {
	dir := Place(name, configfiles.Dir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) && !isLink(dir) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(dir, err)
	}
	var files configfiles.Set
	for _, entry := range entries {
		own := configfiles.Dir + "/" + entry.Name()
		switch {
		case configfiles.Ignored(entry.Name()) != "":
			continue
		case !configfiles.IsName(own):
			return nil, readError(Place(name, own), errors.New("its name cannot be printed; fix: rename it"))
		}
		files = append(files, configfiles.File{Name: own, Path: Place(name, own)})
	}
	if len(files) > configfiles.Most {
		return nil, readError(dir, fmt.Errorf("it has %d files, and may have %d; fix: write several services into one", len(files), configfiles.Most))
	}
	return files, nil
}

// Ignored says which files in conf.d beside a config do not count, and why.
func Ignored(name string) []string {
	if name == "-" {
		return nil
	}
	entries, _ := os.ReadDir(Place(name, configfiles.Dir))
	var notes []string
	for _, entry := range entries {
		if why := configfiles.Ignored(entry.Name()); why != "" {
			notes = append(notes, fmt.Sprintf("%s is not read: %s", text.OneLine(Place(name, configfiles.Dir+"/"+entry.Name())), why))
		}
	}
	return notes
}

// Place returns where a file of the config called name is, by its name in the config.
func Place(name, file string) string {
	if file == configfiles.Main {
		return name
	}
	return filepath.Join(filepath.Dir(name), file)
}

// PathsBelow returns where the files of a config, and the directory of some of them, are below a
// root. It leaves out what is elsewhere, and is nil for standard input.
func PathsBelow(root, name string, files configfiles.Set) []string {
	if name == "-" {
		return nil
	}
	var below []string
	for _, name := range append([]string{name, Place(name, configfiles.Dir)}, files.Paths()...) {
		path, err := filepath.Abs(name)
		if err != nil {
			continue
		}
		if path, err = filepath.Rel(root, path); err == nil && filepath.IsLocal(path) {
			below = append(below, path)
		}
	}
	return below
}

// wholeOf returns the config to which a file in a directory conf.d belongs; "" for one that belongs to
// none. To apply it alone would take all other services away.
func wholeOf(name string) string {
	path, err := filepath.Abs(name)
	dir, own := filepath.Split(path)
	if err != nil || filepath.Base(dir) != configfiles.Dir || configfiles.Ignored(own) != "" {
		return ""
	}
	return filepath.Join(filepath.Dir(filepath.Clean(dir)), configfiles.Main)
}

// isLink tells whether a path is a link.
func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// readError says which file of a config cannot be read. Only where the config itself is not there it
// wraps fs.ErrNotExist: in conf.d a link that leads nowhere is a fault.
func readError(name string, err error) error {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot read config %s: %w", text.OneLine(name), atomicfile.Cause(err))
	case isLink(name):
		return fmt.Errorf("cannot read config %s: it is a link that leads nowhere", text.OneLine(name))
	}
	return fmt.Errorf("cannot read config %s: %w%s", text.OneLine(name), fs.ErrNotExist, missingFix(name))
}

// missingFix returns the end of the error about a config that is not there: what to do. init is
// right only where there was no config before: the current generation keeps the config that it was
// made from, and a name that was given may be misspelt.
func missingFix(name string) string {
	root, usual := strings.CutSuffix(name, paths.Config)
	if kept := keptConfig(root); usual && kept != "" {
		return "; fix: " + kept
	}
	if near := nearFile(name); near != "" {
		return ": did you mean " + text.OneLine(near) + "?"
	}
	if usual {
		return "; fix: natspread init"
	}
	return ""
}

// keptConfig returns the line that copies the config of the current generation back to where it was
// below a root; "" where there is none.
func keptConfig(root string) string {
	current, own := filepath.Join(root, paths.Current), filepath.Join(root, paths.Config)
	kept := filepath.Join(current, "config")
	if _, err := os.Stat(filepath.Join(kept, configfiles.Dir)); err == nil {
		return fmt.Sprintf("cp -r %s/. %s", text.OneLine(kept), text.OneLine(filepath.Dir(own)))
	}
	for _, dir := range []string{kept, current} { // natspread 0.1 had no directory for it
		if _, err := os.Stat(filepath.Join(dir, configfiles.Main)); err == nil {
			return fmt.Sprintf("cp %s %s", text.OneLine(filepath.Join(dir, configfiles.Main)), text.OneLine(own))
		}
	}
	return ""
}

// nearFile returns the file beside the one of that name which was most likely meant, or "".
func nearFile(name string) string {
	all, _ := os.ReadDir(filepath.Dir(name))
	var names []string
	for _, entry := range all {
		if strings.HasSuffix(entry.Name(), configfiles.Suffix) {
			names = append(names, entry.Name())
		}
	}
	if near := suggest.Word(filepath.Base(name), names); near != "" {
		return filepath.Join(filepath.Dir(name), near)
	}
	return ""
}

// readFile reads a regular file of at most so many bytes.
func readFile(name string, most int) ([]byte, error) {
	// O_NONBLOCK keeps the opening of a FIFO without a writer from waiting.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is %s; name a regular file, or - for stdin", fileKind(info.Mode()))
	}
	return readBounded(f, most)
}

// readBounded reads all of r, and fails rather than take more than so many bytes: config.MaxSize, less
// what other files of the config have.
func readBounded(r io.Reader, most int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	switch {
	case err != nil || len(data) <= most:
		return data, err
	case most < config.MaxSize:
		return nil, fmt.Errorf("with the files before it, it is larger than %d MiB", config.MaxSize>>20)
	}
	return nil, fmt.Errorf("it is larger than %d MiB; name a natspread.toml", config.MaxSize>>20)
}

// fileKind names what is not a regular file.
func fileKind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeDevice != 0:
		return "a device"
	default:
		return "not a regular file"
	}
}
