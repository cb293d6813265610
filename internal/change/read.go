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
	"natspread/internal/paths"
	"natspread/internal/suggest"
	"natspread/internal/text"
)

// Read returns the bytes of the config called name, or of stdin for "-". It
// reads regular files of at most config.MaxSize bytes and nothing else: a FIFO would
// block, and a device may never end. The error for a file that does not exist
// wraps fs.ErrNotExist.
func Read(name string, stdin io.Reader) (data []byte, err error) {
	if name == "-" {
		name = "stdin"
		data, err = readBounded(stdin)
	} else {
		data, err = readFile(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot read config %s: %w%s", text.OneLine(name), fs.ErrNotExist, missingFix(name))
	case err != nil:
		return nil, fmt.Errorf("cannot read config %s: %w", text.OneLine(name), atomicfile.Cause(err))
	}
	return data, nil
}

// missingFix returns the end of the error about a config that is not there: what to do. init is
// right only where there was no config before: the current generation keeps the config that it was
// made from, and a name that was given may be misspelt.
func missingFix(name string) string {
	root, usual := strings.CutSuffix(name, paths.Config)
	kept := filepath.Join(root, paths.Current, filepath.Base(paths.Config))
	if _, err := os.Stat(kept); usual && err == nil {
		return fmt.Sprintf("; fix: cp %s %s", text.OneLine(kept), text.OneLine(name))
	}
	if near := nearFile(name); near != "" {
		return ": did you mean " + text.OneLine(near) + "?"
	}
	if usual {
		return "; fix: natspread init"
	}
	return ""
}

// nearFile returns the file beside the one of that name which was most likely meant, or "".
func nearFile(name string) string {
	all, _ := os.ReadDir(filepath.Dir(name))
	var names []string
	for _, entry := range all {
		if strings.HasSuffix(entry.Name(), ".toml") {
			names = append(names, entry.Name())
		}
	}
	if near := suggest.Word(filepath.Base(name), names); near != "" {
		return filepath.Join(filepath.Dir(name), near)
	}
	return ""
}

// readFile reads a regular file.
func readFile(name string) ([]byte, error) {
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
	return readBounded(f)
}

// readBounded reads all of r, and fails rather than take more than config.MaxSize.
func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, config.MaxSize+1))
	if err == nil && len(data) > config.MaxSize {
		err = fmt.Errorf("it is larger than %d MiB; name a natspread.toml", config.MaxSize>>20)
	}
	return data, err
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
