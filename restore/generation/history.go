package generation

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"natspread/internal/configfiles"
)

// Entry is one generation in the history.
type Entry struct {
	Manifest                  // all that could be read of it; its number always
	Config    configfiles.Set // the config that the rules were made from; nil when it is not good
	Problem   error           // why it is not good, nil when it is
	IsCurrent bool            // the one that boot is to load
	IsBoot    bool            // the one that boot will end up with
	IsPending bool            // the one that is loaded, and waits to be confirmed
}

// History returns the generations on disk, the newest first, and before them the one
// that waits to be confirmed. One that is not good is among them, and is no error.
func (s Store) History() ([]Entry, error) {
	numbers, err := s.Numbers()
	if err != nil {
		return nil, err
	}
	current, _ := s.CurrentNumber() // 0 for none, or a bad link, which status reports
	good, _, _ := s.Boot()          // without one there is none to mark
	pending, err := s.Pending()
	waits := err == nil && pending.Number != current
	var entries []Entry
	if waits && !slices.Contains(numbers, pending.Number) {
		entry := s.entry(s.waitingDir(pending.Number), pending.Number)
		entry.IsPending = true
		entries = append(entries, entry)
	}
	for _, number := range numbers {
		entry := s.entry(dir(number), number)
		entry.IsCurrent = number == current
		entry.IsBoot = number == good.Number
		entry.IsPending = waits && number == pending.Number
		entries = append(entries, entry)
	}
	return entries, nil
}

// GoodNumbers returns the generations that can be loaded again, as they are typed, the newest first.
func (s Store) GoodNumbers() ([]string, error) {
	entries, err := s.History()
	var numbers []string
	for _, entry := range entries {
		if entry.Problem == nil {
			numbers = append(numbers, strconv.Itoa(entry.Number))
		}
	}
	return numbers, err
}

// entry describes the generation in a directory.
func (s Store) entry(dir string, number int) Entry {
	generation, err := s.good(dir, number)
	if err != nil {
		manifest, _ := s.readManifest(dir, number) // as much as there is
		manifest.Number = number
		return Entry{Manifest: manifest, Problem: err}
	}
	return Entry{Manifest: generation.Manifest, Config: generation.Config}
}

// Find returns the generation of that number, which must be there and good; it may
// wait to be confirmed.
func (s Store) Find(number int) (Generation, error) {
	if pending, err := s.Pending(); err == nil && pending.Number == number {
		return s.ReadPending(number)
	}
	numbers, err := s.Numbers()
	if err != nil {
		return Generation{}, err
	}
	if !slices.Contains(numbers, number) {
		return Generation{}, fmt.Errorf("generation %d does not exist; natspread history lists them", number)
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

// Previous returns the newest generation that is older than the current one. It must be
// good: else the error names the newest one that is, to be asked for by its number.
func (s Store) Previous() (Generation, error) {
	current, err := s.CurrentNumber()
	if err != nil {
		return Generation{}, err
	}
	numbers, err := s.Numbers()
	if err != nil {
		return Generation{}, err
	}
	older := slices.DeleteFunc(numbers, func(n int) bool { return n >= current })
	if len(older) == 0 {
		return Generation{}, fmt.Errorf("no generation is older than %d, which is current", current)
	}
	previous, err := s.Read(older[0])
	if err == nil {
		return previous, nil
	}
	for _, number := range older[1:] {
		if _, bad := s.Read(number); bad == nil {
			return Generation{}, fmt.Errorf("%w: the newest good one before it is %d: natspread rollback %d", err, number, number)
		}
	}
	return Generation{}, fmt.Errorf("%w, and none before it is", err)
}

// Earlier returns the number of the newest good generation that is older than another one and
// has other files: the next to go back to. It is 0 where there is none.
func (s Store) Earlier(than Generation) int {
	numbers, _ := s.Numbers()
	for _, number := range numbers {
		if number >= than.Number {
			continue
		}
		if earlier, err := s.Read(number); err == nil && !maps.Equal(earlier.sums(), than.sums()) {
			return number
		}
	}
	return 0
}
