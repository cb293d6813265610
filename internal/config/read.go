package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Read returns the bytes of the config called name, or of stdin for "-". It
// reads regular files of at most MaxSize bytes and nothing else: a FIFO would
// block, and a device may never end. The error for a file that does not exist
// wraps fs.ErrNotExist.
func Read(name string, stdin io.Reader) (data []byte, err error) {
	if name == "-" {
		return readBounded("stdin", stdin)
	}
	// O_NONBLOCK keeps the opening of a FIFO without a writer from waiting.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read config %s: %w; write one with: natspread init", printable(name), fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read config %s: %w", printable(name), cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read config %s: %w", printable(name), cause(err))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("cannot read config %s: it is %s; name a regular file, or - for stdin", printable(name), fileKind(info.Mode()))
	case info.Size() > MaxSize:
		return nil, tooLarge(printable(name))
	}
	return readBounded(printable(name), f)
}

// readBounded reads all of r, and fails rather than take more than MaxSize.
func readBounded(name string, r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read config %s: %w", name, cause(err))
	case len(data) > MaxSize:
		return nil, tooLarge(name)
	}
	return data, nil
}

// tooLarge is the error for more bytes than any config needs.
func tooLarge(name string) error {
	return fmt.Errorf("cannot read config %s: it is larger than %d MiB; name a natspread.toml", name, MaxSize>>20)
}

// cause drops the path from a system's error, which the message has already.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
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
