package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"natspread/internal/paths"
	"natspread/restore/generation"
)

// report is what is known outside the disk of the applies that were run.
type report struct {
	generation int  // the newest that an apply returned 0 for
	config     int  // which of the two it is of
	begun      bool // an apply of the other one began after it
}

// state is what a cut left behind.
type state struct {
	number    int  // of the current generation
	config    int  // which of the two it is of
	unwritten bool // a generation that was not current yet, or a link under a temporary name, lay there
	newer     bool // current is one that apply had not yet reported
}

// judge reads the disk as it is after a cut and tells whether it may be so.
func (g game) judge(known report) (state, error) {
	store := generation.Store{Root: g.disk.root}
	number, err := store.CurrentNumber()
	if err != nil {
		return state{}, err
	}
	found, err := store.Read(number)
	if err != nil {
		return state{}, err
	}
	s := state{number: number, newer: number > known.generation}
	if s.config, err = which(g.configs, found); err != nil {
		return state{}, err
	}
	if err := alternate(store); err != nil {
		return state{}, err
	}
	left, err := leftOvers(g.disk.root)
	s.unwritten = len(left) > 0
	switch {
	case err != nil:
		return state{}, err
	case number < known.generation:
		err = fmt.Errorf("generation %d is current: older than %d, which apply had reported", number, known.generation)
	case !s.newer && s.config != known.config:
		err = fmt.Errorf("generation %d is not of the config that apply had reported", number)
	case s.newer && (!known.begun || s.config == known.config):
		err = fmt.Errorf("generation %d is current: newer than %d, and nobody asked for it", number, known.generation)
	}
	return s, err
}

// alternate is an error unless each generation is of the other config than the one before
// it, as what was current once is: one that never was stands beside its like.
func alternate(store generation.Store) error {
	entries, err := store.History()
	if err != nil {
		return err
	}
	for i := range entries[1:] {
		if newer, older := entries[i], entries[i+1]; newer.Config.Equal(older.Config) {
			return fmt.Errorf("generations %d and %d are of the same config: one was never current", older.Number, newer.Number)
		}
	}
	return nil
}

// The directories in which natspread writes, below a root.
const (
	stateDir    = paths.State
	generations = stateDir + "/generations"
)

// current returns where the link leads that boot follows; "" when it is not there.
func (g game) current() string {
	target, _ := os.Readlink(filepath.Join(g.disk.root, stateDir, "current"))
	return target
}

// leftOvers returns what lies below a root under a temporary name.
func leftOvers(root string) ([]string, error) {
	var left []string
	for _, dir := range []string{stateDir, generations} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), ".") {
				left = append(left, filepath.Join(dir, entry.Name()))
			}
		}
	}
	return left, nil
}
