package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// shortestDigits keeps dates and versions in other people's dot-files (".notes.20240101120000") from being
// taken for a temporary. Of random numbers 1 in 9,000 is shorter: no temporary is named by one of those.
const shortestDigits = 16

// longestDigits is the length of the largest int64.
const longestDigits = 19

// Sweep removes the temporaries that a killed run left in dir: regular files and symlinks with the names
// that WriteFile and Symlink give, dot, name of the target, random number. With targets, only those of
// these names go, which is what a directory shared with others needs. What is still being written stays: it
// is locked until it has its name, and a symlink that goes is made once more. A missing dir holds nothing.
func Sweep(dir string, targets ...string) error {
	opened, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = opened.ReadDir(-1) // in no order: to sort them for each file that is written takes longer
		_ = opened.Close()
	}
	if err != nil {
		return fmt.Errorf("cannot sweep %s: %w", dir, Cause(err))
	}
	swept := false
	for _, entry := range entries {
		if entry.Name()[0] != '.' || !isTemporary(entry, targets) { // as nearly all are, where many files are written
			continue
		}
		path := filepath.Join(dir, entry.Name())
		removed, err := removeUnlocked(path, entry.Type())
		if err != nil {
			return fmt.Errorf("cannot remove the left-over %s: %w", path, Cause(err))
		}
		swept = swept || removed
	}
	if !swept {
		return nil
	}
	return SyncDir(dir)
}

// removeUnlocked removes a temporary. A file stays that is being written, or of which that cannot be told.
func removeUnlocked(path string, kind fs.FileMode) (removed bool, err error) {
	if kind.IsRegular() {
		// By now a pipe or a symlink may have the name: the open does not wait, and does not follow.
		file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return false, nil
		}
		defer file.Close()
		if unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil {
			return false, nil
		}
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// isTemporary judges a file whose name begins with a dot, by kind and name alone: contents cut short say
// nothing.
func isTemporary(entry fs.DirEntry, targets []string) bool {
	if kind := entry.Type(); kind != 0 && kind != fs.ModeSymlink {
		return false
	}
	if len(targets) == 0 {
		return endsRandom(entry.Name()[1:])
	}
	return slices.ContainsFunc(targets, func(target string) bool { return isTemporaryOf(target, entry.Name()) })
}

// isTemporaryOf tells whether a name is that of a temporary of one target.
func isTemporaryOf(target, name string) bool {
	digits, ok := strings.CutPrefix(name, "."+target)
	return ok && len(digits) >= shortestDigits && isRandomNumber(digits)
}

// endsRandom tries each length, because a target's own name may end in a digit, as that of rules.v4 does.
func endsRandom(name string) bool {
	if strings.Trim(name, "0123456789") == "" {
		return false
	}
	for count := shortestDigits; count <= longestDigits && count < len(name); count++ {
		if isRandomNumber(name[len(name)-count:]) {
			return true
		}
	}
	return false
}

// isRandomNumber reports whether digits is what strconv.FormatInt prints for a number of rand.Int64.
func isRandomNumber(digits string) bool {
	number, err := strconv.ParseInt(digits, 10, 64)
	return err == nil && number >= 0 && strconv.FormatInt(number, 10) == digits
}
