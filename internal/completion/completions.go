// Package completion exists so that bash, zsh and fish offer just what the command
// tree takes; it must not know where the tree comes from.
//
// The files beside it are what it writes; make completions writes them anew.
package completion

import (
	"fmt"
	"slices"
	"strings"
)

// Tree is all that can be typed after the program's name.
type Tree struct {
	Verbs []Verb
	Flags []Flag // of every verb, before it or behind it
}

// Verb is one verb, or another word that stands in a verb's place.
type Verb struct {
	Name  string
	Words string // what it does
	Flags []Flag // those of this verb alone
	Verbs bool   // it takes another verb as its argument
}

// Flag is one flag under all of its names, dashes included.
type Flag struct {
	Names []string
	Words string
	Value Value
}

// Value is what may follow a flag.
type Value struct {
	Kind  Kind
	Words []string // all of a Word, some of a Free
}

// Kind is a kind of value.
type Kind int

// The kinds.
const (
	None      Kind = iota // the flag takes no value
	File                  // the name of a file
	Directory             // the name of a directory
	Word                  // one of few words
	Free                  // whatever the words before a shell cannot know
)

// headline returns the comment that each file begins with.
func headline(shell string) string {
	return fmt.Sprintf("# %s completion for natspread(8), written by make completions from the command tree.\n", shell)
}

// all returns the flags that are known behind any verb at all, each once.
func (t Tree) all() []Flag {
	flags := slices.Clone(t.Flags)
	for _, verb := range t.Verbs {
		for _, flag := range verb.Flags {
			if !slices.ContainsFunc(flags, func(f Flag) bool { return f.Names[0] == flag.Names[0] }) {
				flags = append(flags, flag)
			}
		}
	}
	return flags
}

// valued returns the names of the flags for which pick is true, and which take a
// value.
func (t Tree) valued(pick func(Value) bool) []string {
	var names []string
	for _, flag := range t.all() {
		if flag.Value.Kind != None && pick(flag.Value) {
			names = append(names, flag.Names...)
		}
	}
	return names
}

// verbs returns the names of the verbs for which pick is true.
func (t Tree) verbs(pick func(Verb) bool) []string {
	var names []string
	for _, verb := range t.Verbs {
		if pick(verb) {
			names = append(names, verb.Name)
		}
	}
	return names
}

// anyVerb is true of every verb.
func anyVerb(Verb) bool { return true }

// anyValue is true of every value.
func anyValue(Value) bool { return true }

// spaced returns the names of flags, with spaces between.
func spaced(flags []Flag) string {
	var names []string
	for _, flag := range flags {
		names = append(names, flag.Names...)
	}
	return strings.Join(names, " ")
}

// quoted returns words as a string in single quotes, as POSIX shells read it.
func quoted(words string) string {
	return "'" + strings.ReplaceAll(words, "'", `'\''`) + "'"
}
