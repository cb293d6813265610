package generation

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
)

// MaxFile bounds a file of a generation: 10,000 services of three backends are
// 8 MB of rules.
const MaxFile = 64 << 20

// readTrusted reads a file that boot will act on: path is below root, where each
// directory on the way and the file itself must be root's, writable by nobody
// else and no link, and the file regular and of bounded size. Every check is made
// on the opened thing, so nobody can swap it afterwards.
//
// Above natspread's own directory all may write in a directory that is sticky, as /tmp is,
// and in some containers /run. In it others can make names, but neither rename nor remove
// what is root's, nor move a directory of root's there. So natspread's own, which is
// checked next, is the one that root made.
func readTrusted(root, path string) ([]byte, error) {
	file, err := openTrusted(root, path)
	path = filepath.Join(root, path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("cannot read %s: it is no regular file", path)
	case info.Size() > MaxFile:
		return nil, fmt.Errorf("cannot read %s: it is larger than %d bytes", path, MaxFile)
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = fmt.Errorf("cannot read %s: it is larger than %d bytes", path, MaxFile)
	}
	return data, err
}

// openTrusted walks from root to path, one directory at a time.
func openTrusted(root, path string) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	walked := root
	names := strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	own := slices.Index(names, filepath.Base(paths.State)) // the name in /var/lib, and in /run
	for i, name := range names {
		if err := trusted(dir, walked, i <= own); err != nil {
			unix.Close(dir)
			return nil, err
		}
		flags := unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
		if i < len(names)-1 {
			flags |= unix.O_DIRECTORY
		}
		next, err := unix.Openat(dir, name, flags, 0)
		walked = filepath.Join(walked, name)
		if err != nil {
			err = openError(dir, name, walked, err)
			unix.Close(dir)
			return nil, err
		}
		unix.Close(dir)
		dir = next
	}
	if err := trusted(dir, walked, false); err != nil {
		unix.Close(dir)
		return nil, err
	}
	return os.NewFile(uintptr(dir), path), nil
}

// openError says in words what the kernel says of a link: O_NOFOLLOW on a file is
// ELOOP, on a directory ENOTDIR. Root without CAP_DAC_OVERRIDE, as in the unit's
// sandbox, may not even open what is another user's alone: the owner is the reason.
func openError(dir int, name, path string, err error) error {
	var stat unix.Stat_t
	switch {
	case errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%s is a link, or no directory", path)
	case errors.Is(err, unix.EACCES) && unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil && stat.Uid != 0:
		return notRoots(path, stat)
	}
	return err
}

// UntrustedError is a file, or a directory above it, that somebody else than root may change.
type UntrustedError struct {
	what string
	Fix  string // the line after which only root may
}

// Error says what it is, and ends with the line that fixes it.
func (e *UntrustedError) Error() string { return e.what + ": " + e.Fix }

// notRoots says that a file is another user's.
func notRoots(path string, stat unix.Stat_t) error {
	return &UntrustedError{fmt.Sprintf("%s belongs to user %d, not to root", path, stat.Uid), "chown root " + path}
}

// trusted checks that what was opened is root's, and that only root may write it. It may be
// a directory that is above natspread's own.
func trusted(fd int, path string, above bool) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Uid != 0 {
		return notRoots(path, stat)
	}
	if sticky := above && stat.Mode&unix.S_ISVTX != 0; stat.Mode&0o022 != 0 && !sticky {
		return &UntrustedError{path + " may be written by its group or by others", "chmod go-w " + path}
	}
	return nil
}
