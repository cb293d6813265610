// Package atomicfile exists so that a file or symlink is the old one or the new one, whole, and synced with
// its directory, even across a kill or a power cut; it must not know what the bytes mean.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// WriteFile replaces the file at path by one that holds data and has exactly the mode perm, whatever the
// umask is and whatever mode the old file had. A symlink at path is replaced, not followed. After an error
// the old file stands, unless the error says that the new one is in place.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return fmt.Errorf("cannot write %s: it is a directory", path)
	}
	return write(path, data, perm, (*renameio.PendingFile).CloseAtomicallyReplace)
}

// write writes a temporary file and lets finish give it the name. What killed writers of the same path left
// goes first: each writer sweeps for those before it.
func write(path string, data []byte, perm fs.FileMode, finish func(temporary *renameio.PendingFile) error) error {
	_ = Sweep(filepath.Dir(path), filepath.Base(path)) // what stays does no harm
	pending, unlock, err := temporary(path, perm)
	if err == nil {
		defer unlock()
		defer func() { _ = pending.Cleanup() }()
		_, err = pending.Write(data)
	}
	if err == nil {
		err = finish(pending)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, Cause(err))
	}
	return syncParent(path)
}

// temporary makes the temporary file of a path. Until unlock is called its lock is held (flock(2)), so Sweep
// leaves it alone; when the process ends, however it ends, the kernel frees the lock. Sweep may come between
// the file and its lock: then the file has no name any more, and another one is made, as where the number is
// too short for Sweep.
func temporary(path string, perm fs.FileMode) (pending *renameio.PendingFile, unlock func(), err error) {
	for {
		// Left to itself renameio would put the temporary file into /tmp, out of reach of Sweep.
		pending, err = renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(perm))
		if err != nil {
			return nil, nil, err
		}
		unlock, named, err := hold(pending.File)
		if err == nil && named && isTemporaryOf(filepath.Base(path), filepath.Base(pending.Name())) {
			return pending, unlock, nil
		}
		unlock()
		if failed := pending.Cleanup(); err != nil || failed != nil && !errors.Is(failed, fs.ErrNotExist) {
			return nil, nil, errors.Join(err, failed)
		}
	}
}

// hold takes the lock of a file for as long as unlock is not called, also when the file is closed: renameio
// closes it before it gets its name. named tells whether the file still has one. Where a file system has no
// locks, Sweep gets none either.
func hold(file *os.File) (unlock func(), named bool, err error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return func() {}, false, err
	}
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Flock(fd, unix.LOCK_EX) // a Sweep holds it for a moment only
	}
	var stat unix.Stat_t
	err = unix.Fstat(fd, &stat)
	return func() { _ = unix.Close(fd) }, stat.Nlink > 0, err
}

// ReplaceFile replaces the regular file at path by one that holds data and has the same owner and mode. Both
// are settled on the temporary file, by its descriptor, before it gets the name: nobody who may write to the
// directory can have another file changed. A file that cannot be given to its owner is an error.
func ReplaceFile(path string, data []byte) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, Cause(err))
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("cannot write %s: its owner is not known", path)
	}
	return write(path, data, info.Mode().Perm(), func(temporary *renameio.PendingFile) error {
		if int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid() {
			if err := temporary.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
				return err
			}
		}
		return temporary.CloseAtomicallyReplace()
	})
}

// CreateFile makes a file that holds data, with exactly the mode perm, where nothing is yet: the kernel itself
// refuses to put it over anything (link(2)), and the error then is fs.ErrExist.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	if _, err := os.Lstat(path); err == nil { // also where nothing could be written
		return fmt.Errorf("cannot write %s: %w", path, fs.ErrExist)
	}
	return write(path, data, perm, func(temporary *renameio.PendingFile) error {
		if err := temporary.Sync(); err != nil {
			return err
		}
		return os.Link(temporary.Name(), path)
	})
}

// CreateAll is CreateFile, and makes the directories that are missing above it.
func CreateAll(path string, data []byte, perm fs.FileMode) error {
	if err := MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return CreateFile(path, data, perm)
}

// Symlink makes path a symlink to target in one step, whether or not there is a symlink already. Anything
// else at path is left alone and is an error: it may be somebody's data.
func Symlink(target, path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSymlink {
		return fmt.Errorf("cannot link %s: something that is not a symlink is in its place", path)
	}
	for {
		temporary, err := symlinkBeside(target, path)
		if err == nil {
			err = os.Rename(temporary, path)
		}
		switch {
		case err == nil:
			return syncParent(path)
		case temporary != "" && errors.Is(err, fs.ErrNotExist): // a Sweep took it: a link has no lock
			continue
		}
		_ = os.Remove(temporary)
		return fmt.Errorf("cannot link %s: %w", path, Cause(err))
	}
}

// symlinkBeside makes a symlink under a temporary name of the shape that renameio gives to files, so that
// Sweep has one shape to know.
func symlinkBeside(target, path string) (string, error) {
	for {
		name := "." + filepath.Base(path) + strconv.FormatInt(rand.Int64(), 10)
		if !isTemporaryOf(filepath.Base(path), name) {
			continue
		}
		temporary := filepath.Join(filepath.Dir(path), name)
		switch err := os.Symlink(target, temporary); {
		case err == nil:
			return temporary, nil
		case !errors.Is(err, fs.ErrExist):
			return "", err
		}
	}
}

// SyncDir makes the names in dir durable: a rename alone can be undone by a power cut.
func SyncDir(dir string) error {
	opened, err := os.Open(dir)
	if err == nil {
		defer func() { _ = opened.Close() }()
		err = opened.Sync()
	}
	if err != nil {
		return fmt.Errorf("cannot sync directory %s: %w", dir, Cause(err))
	}
	return nil
}

// ErrUnsynced is the one failure after which the new file is already in place.
var ErrUnsynced = errors.New("is replaced, but may not survive a power cut")

// syncParent makes the new name durable; its error is ErrUnsynced.
func syncParent(path string) error {
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%s %w: %w", path, ErrUnsynced, err)
	}
	return nil
}

// MkdirAll makes dir and its missing parents with exactly the mode perm, whatever the umask is, and syncs
// the parent of each directory it made. Directories that exist keep their mode.
func MkdirAll(dir string, perm fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := mkdir(dir, perm); err != nil {
		return fmt.Errorf("cannot make directory %s: %w", dir, Cause(err))
	}
	return SyncDir(filepath.Dir(dir))
}

// mkdir makes one directory; one that somebody else made in the meantime is as good.
func mkdir(dir string, perm fs.FileMode) error {
	err := os.Mkdir(dir, perm)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(dir); statErr == nil && info.IsDir() {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, perm)
}

// Cause drops the operation and the file name that the os package puts into its errors, for messages that
// name the target themselves; the name of a temporary file would only mislead.
func Cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	var linkError *os.LinkError
	if errors.As(err, &linkError) {
		return linkError.Err
	}
	return err
}
