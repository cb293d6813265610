package generation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
)

// MaxFile bounds a file of a generation: 10,000 services of three backends are
// 8 MB of rules.
const MaxFile = 64 << 20

// readTrusted reads a file that boot will act on: path is below root, where each
// directory on the way and the file itself must be root's, writable by nobody
// else, and the file no link, regular and of bounded size. Every check is made
// on the opened thing, so nobody can swap it afterwards.
//
// Above natspread's own directory root may have made links, as when /var/lib is on another
// disk: in a directory in which only root can write, a link of root's is as good as the
// directory. It is followed by its descriptor, and what it leads to is checked like the rest.
// Below, natspread makes no links that are followed.
//
// Above natspread's own directory all may write in a directory that is sticky, as /tmp is,
// and in some containers /run. In it others can make names, but neither rename nor remove
// what is root's, nor move a directory of root's there. So natspread's own, which is
// checked next, is the one that root made. Links they can move there: link(2).
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
	data := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead)) // no copies on the way
	_, err = data.ReadFrom(io.LimitReader(file, MaxFile+1))
	if err == nil && data.Len() > MaxFile {
		err = fmt.Errorf("cannot read %s: it is larger than %d bytes", path, MaxFile)
	}
	return data.Bytes(), err
}

// openTrusted walks from root to path, one name at a time.
func openTrusted(root, path string) (*os.File, error) {
	dir, walked, err := atomicfile.OpenDir(root, path, guard(path))
	if err != nil {
		return nil, walkError(err)
	}
	defer unix.Close(dir)
	if err := seenAtBoot(root, walked); err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	file, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	walked = filepath.Join(walked, name)
	if err != nil {
		return nil, openError(dir, name, walked, err)
	}
	if err := trusted(file, walked, false); err != nil {
		unix.Close(file)
		return nil, err
	}
	return os.NewFile(uintptr(file), path), nil
}

// trustWay is an error where boot would not go the way to a directory below root, as far as
// there is one yet.
func trustWay(root, directory string) error {
	resolved, err := atomicfile.Resolve(root, directory, guard(directory))
	if err != nil {
		return err
	}
	return seenAtBoot(root, resolved)
}

// guard returns what is checked on the way to a path below the root.
func guard(path string) atomicfile.Guard {
	names := strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	own := slices.Index(names, filepath.Base(paths.State)) // the name in /var/lib, and in /run
	below := len(names) - 1 - own                          // names after it
	return func(step atomicfile.Step) error {
		switch {
		case !step.IsLink:
			return trusted(step.FD, step.Path, step.Left > below)
		case step.Left <= below:
			return isLink(step.Path)
		}
		var stat unix.Stat_t
		if err := unix.Fstat(step.FD, &stat); err != nil {
			return err
		}
		if stat.Uid != 0 {
			return notRoots(step.Path, stat, "chown -h")
		}
		return trusted(step.In, filepath.Dir(step.Path), false)
	}
}

// seenAtBoot is an error where the sandbox of natspread.service hides a directory.
func seenAtBoot(root, directory string) error {
	if root == "/" && paths.InHome(directory) {
		return fmt.Errorf("%s is in a home directory, and natspread.service sees none: keep it elsewhere", directory)
	}
	return nil
}

// isLink is the error for a link that is not followed.
func isLink(path string) error { return fmt.Errorf("%s is a link, or no directory", path) }

// walkError is openError for a directory on the way.
func walkError(err error) error {
	var failed *os.PathError
	if errors.As(err, &failed) && errors.Is(err, unix.ENOTDIR) {
		return isLink(failed.Path)
	}
	return atomicfile.Cause(err)
}

// openError says in words what the kernel says of a link. Root without CAP_DAC_OVERRIDE, as
// in the unit's sandbox, may not even open what is another user's alone: the owner is the reason.
func openError(dir int, name, path string, err error) error {
	var stat unix.Stat_t
	switch {
	case errors.Is(err, unix.ELOOP):
		return isLink(path)
	case errors.Is(err, unix.EACCES) && unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil && stat.Uid != 0:
		return notRoots(path, stat, "chown")
	}
	return err
}

// UntrustedError is a file, or a directory above it, that somebody else than root may change.
type UntrustedError struct {
	what string
	Fix  string // the line after which only root may
}

// Below is Error for an image, where one user made all that is below the directory: its fix is
// one line for all of it.
func (e *UntrustedError) Below() string {
	return e.what + "; fix: " + strings.Replace(e.Fix, "chown ", "chown -R ", 1)
}

// Error says what it is, and ends with the line that fixes it.
func (e *UntrustedError) Error() string { return e.what + ": " + e.Fix }

// notRoots says that a file is another user's, and with what command it is given to root.
func notRoots(path string, stat unix.Stat_t, chown string) error {
	return &UntrustedError{fmt.Sprintf("%s belongs to user %d, not to root", path, stat.Uid), chown + " root " + path}
}

// trusted checks that what was opened is root's, and that only root may write it. It may be
// a directory that is above natspread's own.
func trusted(fd int, path string, above bool) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Uid != 0 {
		return notRoots(path, stat, "chown")
	}
	if sticky := above && stat.Mode&unix.S_ISVTX != 0; stat.Mode&0o022 != 0 && !sticky {
		return &UntrustedError{path + " may be written by its group or by others", "chmod go-w " + path}
	}
	return nil
}
