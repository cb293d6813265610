package restore

import "sync"

// later starts what takes a while and needs no program, and returns what waits for its
// result: a second processor does it beside what is done meanwhile.
func later[T any](do func() T) func() T {
	done := make(chan T, 1)
	go func() { done <- do() }()
	return sync.OnceValue(func() T { return <-done })
}

// found is the generation that the kernel should hold, or the reason why it is not the
// current one.
type found struct {
	generation Generation
	fallback   error
}

// Ahead returns the host with its current generation being read already, for the Apply or
// the Try that follows when its caller has made the tables.
func (h Host) Ahead() Host {
	store := h.store()
	h.ahead = later(func() found {
		generation, fallback := store.current()
		return found{generation, fallback}
	})
	return h
}

// current is Store.current for who holds the lock. What was read ahead is the same if the
// number is: no file of a generation ever changes.
func (h Host) current() (Generation, error) {
	if h.ahead != nil {
		read := h.ahead()
		if number, err := h.store().CurrentNumber(); err == nil && read.fallback == nil && number == read.generation.Generation {
			return read.generation, nil
		}
	}
	return h.store().current()
}
