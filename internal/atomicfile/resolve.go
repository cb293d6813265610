package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mostSymlinks is how many symlinks the kernel itself follows in one path.
const mostSymlinks = 40

// Step is what a walk comes to: a directory, or a symlink that it is about to follow.
type Step struct {
	FD     int    // of the thing itself, opened with O_PATH
	In     int    // of a symlink: the directory that it is in
	Path   string // the root included, and without symlinks
	Left   int    // how many names come after it, as far as is known
	IsLink bool
}

// Guard is asked at each step of a walk; an error of it ends the walk.
type Guard func(Step) error

// Resolve returns where the directory dir of an image lies, with the image's symlinks followed as a process
// chrooted into root would follow them: absolute ones begin at root, and none leads out of it. What does not
// exist yet, or is no directory, is taken as it stands. guard, if there is one, sees all that exists on the way.
func Resolve(root, dir string, guard Guard) (string, error) {
	w, err := begin(root, guard)
	if err != nil {
		return "", err
	}
	defer w.end()
	missing, err := w.walk(parts(dir), 0)
	if err != nil {
		return "", fmt.Errorf("cannot look up %s in %s: %w", dir, root, err)
	}
	return filepath.Join(root, filepath.Join(slices.Concat([]string{"/"}, w.names, missing)...)), nil
}

// OpenDir opens, with O_PATH, the directory that the file path is in, found as Resolve does, and returns where
// it lies. An error is the cause alone: the guard's own, or with the path of what cannot be opened.
func OpenDir(root, path string, guard Guard) (dir int, resolved string, err error) {
	w, err := begin(root, guard)
	if err != nil {
		return -1, "", err
	}
	defer w.end()
	missing, err := w.walk(parts(filepath.Dir(path)), 1)
	if err == nil && len(missing) > 0 {
		err = unix.ENOENT
	}
	if err != nil {
		return -1, "", err
	}
	dir, err = unix.FcntlInt(uintptr(w.dirs[len(w.dirs)-1]), unix.F_DUPFD_CLOEXEC, 0)
	return dir, w.path(), err
}

// walker is on its way from a root, one name at a time. It holds each directory that it is in open: nobody can
// put another one in its place, and a ".." never leads above the root.
type walker struct {
	root  string
	dirs  []int    // the root, and below it one for each name
	names []string // of the directories
	guard Guard
}

// begin opens the root.
func begin(root string, guard Guard) (*walker, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the root %s: %w", root, err)
	}
	if guard == nil {
		guard = func(Step) error { return nil }
	}
	return &walker{root: root, dirs: []int{fd}, guard: guard}, nil
}

// end closes all.
func (w *walker) end() {
	w.up(len(w.names))
	unix.Close(w.dirs[0])
}

// path returns where the walk is.
func (w *walker) path() string { return filepath.Join(w.root, filepath.Join(w.names...)) }

// up goes that many directories back, the root at most.
func (w *walker) up(count int) {
	for range min(count, len(w.names)) {
		unix.Close(w.dirs[len(w.names)])
		w.dirs, w.names = w.dirs[:len(w.names)], w.names[:len(w.names)-1]
	}
}

// walk goes the way of some names, which so many more will follow, and returns those that do not exist.
func (w *walker) walk(names []string, after int) (missing []string, err error) {
	followed := 0
	for {
		if err := w.guard(Step{FD: w.dirs[len(w.names)], In: -1, Path: w.path(), Left: len(names) + after}); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, nil
		}
		target, err := w.step(names[0], len(names)-1+after)
		switch {
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR) && len(names)+after == 1:
			return names, nil
		case err != nil:
			return nil, err
		}
		names = names[1:]
		if target == "" {
			continue
		}
		if followed++; followed > mostSymlinks {
			return nil, errors.New("too many symlinks")
		}
		if filepath.IsAbs(target) {
			w.up(len(w.names))
		}
		names = append(parts(target), names...)
	}
}

// step goes on to a name, or, where that is a symlink, returns what it points to.
func (w *walker) step(name string, left int) (target string, err error) {
	if name == ".." {
		w.up(1)
		return "", nil
	}
	in := w.dirs[len(w.names)]
	fd, err := unix.Openat(in, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: filepath.Join(w.path(), name), Err: err}
	}
	var stat unix.Stat_t
	err = unix.Fstat(fd, &stat)
	if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		w.dirs, w.names = append(w.dirs, fd), append(w.names, name)
		return "", nil
	}
	defer unix.Close(fd)
	path := filepath.Join(w.path(), name)
	switch {
	case err != nil:
		return "", err
	case stat.Mode&unix.S_IFMT != unix.S_IFLNK:
		return "", &os.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	}
	if err := w.guard(Step{FD: fd, In: in, Path: path, Left: left, IsLink: true}); err != nil {
		return "", err
	}
	return readlink(fd)
}

// readlink returns what an opened symlink points to, which is never "".
func readlink(fd int) (string, error) {
	target := make([]byte, unix.PathMax)
	length, err := unix.Readlinkat(fd, "", target)
	return string(target[:max(length, 0)]), err
}

// Place returns where the file of an image lies: Resolve for its directory, while the last
// element of the path, which may be a link, is not followed.
func Place(root, path string) (string, error) {
	dir, err := Resolve(root, filepath.Dir(path), nil)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// parts splits a path as the kernel does; "." and doubled slashes go.
func parts(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool { return part == "" || part == "." })
}
