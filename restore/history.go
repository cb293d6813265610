package restore

import (
	"errors"
	"fmt"
	"slices"
)

// Entry is one generation as the history tells of it.
type Entry struct {
	Manifest         // all that could be read of it; its number always
	Config    []byte // the config that the rules were made from; nil when it is not good
	Problem   error  // why it is not good, nil when it is
	IsCurrent bool   // the one that boot is to load
	IsBoot    bool   // the one that boot will end up with
}

// History returns the generations on disk, the newest first. One that is not good
// is told of too, and is no error.
func (s Store) History() ([]Entry, error) {
	numbers, err := s.Numbers()
	if err != nil {
		return nil, err
	}
	current, err := s.CurrentNumber()
	if err != nil && !errors.Is(err, ErrNone) {
		current = 0 // a bad link is what status tells of
	}
	good, _, _ := s.newestGood() // without one there is none to mark
	entries := make([]Entry, len(numbers))
	for i, number := range numbers {
		entries[i] = s.entry(number)
		entries[i].IsCurrent = number == current
		entries[i].IsBoot = number == good.Generation
	}
	return entries, nil
}

// entry describes one generation.
func (s Store) entry(number int) Entry {
	generation, err := s.Read(number)
	if err != nil {
		manifest, _ := s.readManifest(number) // as much as there is
		manifest.Generation = number
		return Entry{Manifest: manifest, Problem: err}
	}
	return Entry{Manifest: generation.Manifest, Config: generation.Config}
}

// Find returns the generation of that number, which must be there and good.
func (s Store) Find(number int) (Generation, error) {
	numbers, err := s.Numbers()
	if err != nil {
		return Generation{}, err
	}
	if !slices.Contains(numbers, number) {
		return Generation{}, fmt.Errorf("there is no generation %d: natspread history lists those that there are", number)
	}
	return s.Read(number)
}

// Current returns the generation that boot is to load, which must be good.
func (s Store) Current() (Generation, error) {
	number, err := s.CurrentNumber()
	if err != nil {
		return Generation{}, err
	}
	return s.Find(number)
}

// Previous returns the newest generation that is older than the current one, which
// must be good: another one is to be asked for by its number.
func (s Store) Previous() (Generation, error) {
	current, err := s.CurrentNumber()
	if err != nil {
		return Generation{}, err
	}
	numbers, err := s.Numbers()
	if err != nil {
		return Generation{}, err
	}
	for _, number := range numbers {
		if number < current {
			return s.Read(number)
		}
	}
	return Generation{}, fmt.Errorf("no generation is older than %d, which is current", current)
}

// ConfigFile returns where a generation keeps its config.
func (s Store) ConfigFile(number int) string { return s.path(dir(number), configFile) }
