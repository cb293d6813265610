package generation

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
)

// Keep is how many generations stay on disk.
const Keep = 10

// Store is the generations below a root directory.
type Store struct {
	Root string
	// Namespace names the network namespace that records below /run must be of, as
	// namespace.ID does: a trial of another one is not pending here, and what was loaded in
	// another one, or in another boot, says nothing. "" takes every trial.
	Namespace string
}

// Path returns a place below the root.
//
// In an image the links on the way are the image's: they are followed as the image will
// follow them when it has booted, and never out of it. The last element is not followed.
func (s Store) Path(elements ...string) string {
	path := filepath.Join(elements...)
	return filepath.Join(s.directory(filepath.Dir(path)), filepath.Base(path))
}

// directory is Path for a directory, which is followed too. One that cannot be resolved is
// taken for a place that cannot be: /dev/null is no directory.
func (s Store) directory(path string) string {
	resolved, err := atomicfile.Resolve(s.Root, path, nil)
	if err != nil {
		return os.DevNull
	}
	return resolved
}

// dir returns the directory of a generation, relative to the root.
func dir(number int) string { return filepath.Join(paths.Generations, strconv.Itoa(number)) }

// unconfirmedPrefix begins the name of a generation's directory until it is made current,
// while it is written, loaded, and waits to be confirmed: no number, so nobody takes it
// for one to fall back to.
const unconfirmedPrefix = ".unconfirmed-"

// unconfirmedDir is dir for a generation that is not current yet.
func unconfirmedDir(number int) string {
	return filepath.Join(paths.Generations, fmt.Sprint(unconfirmedPrefix, number))
}

// Numbers returns the numbers of the generations, the newest first: of the newest Keep that
// were current once. Older ones are those that Prune was to remove, so they count for nothing,
// however many there are.
func (s Store) Numbers() ([]int, error) {
	numbers, _, err := s.split()
	return numbers[:min(Keep, len(numbers))], err
}

// split returns the numbers of the generations that were current once, the newest first, and
// of others. Current goes on to ever higher numbers, so a directory that is numbered above it
// was about to become it when a kill came. Where current leads nowhere each number counts.
func (s Store) split() (once, never []int, err error) {
	numbers, err := s.numbered()
	above := 0
	if current, unknown := s.CurrentNumber(); unknown == nil {
		for above < len(numbers) && numbers[above] > current {
			above++
		}
	}
	return numbers[above:], numbers[:above], err
}

// numbered returns the numbers that directories of generations have, the highest first.
func (s Store) numbered() ([]int, error) {
	dir, err := atomicfile.Resolve(s.Root, paths.Generations, nil)
	var entries []fs.DirEntry
	if err == nil {
		entries, err = os.ReadDir(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list the generations: %w", err)
	}
	var numbers []int
	for _, entry := range entries {
		if number, ok := generationNumber(entry.Name()); ok {
			numbers = append(numbers, number)
		}
	}
	slices.SortFunc(numbers, func(a, b int) int { return cmp.Compare(b, a) })
	return numbers, nil
}

// maxNumber is the highest number of a generation: JSON readers keep integers up to it, and
// nothing overflows behind it.
const maxNumber = 1 << 53

// generationNumber reads a generation's number from the name of its directory; 0 is none.
func generationNumber(name string) (number int, ok bool) {
	number, err := strconv.Atoi(name)
	if err != nil || number <= 0 || number > maxNumber || strconv.Itoa(number) != name {
		return 0, false
	}
	return number, true
}

// ErrNone says that no generation was ever made current.
var ErrNone = errors.New("no generation has been applied yet: run natspread apply")

// CurrentNumber returns the number of the generation that boot loads.
func (s Store) CurrentNumber() (int, error) {
	target, err := os.Readlink(s.Path(paths.Current))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrNone
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read %s: %w", s.Path(paths.Current), err)
	}
	parent, name := filepath.Split(target)
	number, ok := generationNumber(name)
	if !ok || parent != "generations/" {
		return 0, fmt.Errorf("%s leads to %q, which is no generation", s.Path(paths.Current), target)
	}
	return number, nil
}
