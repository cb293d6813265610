// Package completion exists so that bash, zsh and fish offer just what the command
// tree takes; it must not know where the tree comes from.
//
// The files in scripts are what it writes; make completions writes them anew.
package completion

import (
	"slices"
	"strings"
	"text/template"
)

// Tree is all that can be typed after the program's name.
type Tree struct {
	Verbs []Verb
	Flags []Flag // of every verb, before it or behind it
}

// Verb is one verb, or another word that stands in a verb's place.
type Verb struct {
	Name  string
	Does  string   // in a few words
	Flags []Flag   // those of this verb alone
	Verbs bool     // it takes another verb as its argument
	Words []string // what it takes as its argument, where that is one of few words
	Names []string // what it takes as arguments, as natspread completion lists them: services, backends, files, generations
}

// Plain tells whether a verb takes nothing that a shell could offer.
func (v Verb) Plain() bool { return len(v.Flags)+len(v.Words)+len(v.Names) == 0 }

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

// Kind is a kind of value, as the templates name it.
type Kind string

// The kinds.
const (
	None      Kind = ""          // the flag takes no value
	File      Kind = "file"      // the name of a file
	Directory Kind = "directory" // the name of a directory
	Word      Kind = "word"      // one of few words
	Free      Kind = "free"      // whatever the words before a shell cannot know
)

// write fills a template in. One that cannot be filled in is a fault of this package.
func (t Tree) write(text string) string {
	functions := template.FuncMap{
		"join": strings.Join, "patterns": bashPatterns, "flags": flagNames, "verbs": verbNames,
		"quoted": quoted, "fishQuoted": fishQuoted, "option": fishOption, "spec": zshSpec,
	}
	var written strings.Builder
	if err := template.Must(template.New("").Funcs(functions).Parse(text)).Execute(&written, t); err != nil {
		panic(err)
	}
	return written.String()
}

// All returns the flags that are known behind any verb at all, each once.
func (t Tree) All() []Flag {
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

// SpecialFlag is a flag that takes another value behind one verb than the flag of that name in All.
type SpecialFlag struct {
	Flag
	Verb string
}

// Special returns those flags.
func (t Tree) Special() []SpecialFlag {
	var special []SpecialFlag
	all := t.All()
	for _, verb := range t.Verbs {
		for _, flag := range verb.Flags {
			i := slices.IndexFunc(all, func(f Flag) bool { return f.Names[0] == flag.Names[0] })
			if one, other := flag.Value, all[i].Value; one.Kind != other.Kind || !slices.Equal(one.Words, other.Words) {
				special = append(special, SpecialFlag{flag, verb.Name})
			}
		}
	}
	return special
}

// Taking returns the names of the flags that take a value of one of some kinds, and with
// no kind of those that take any.
func (t Tree) Taking(kinds ...Kind) []string {
	return flagNames(slices.DeleteFunc(t.All(), func(f Flag) bool {
		return f.Value.Kind == None || len(kinds) > 0 && !slices.Contains(kinds, f.Value.Kind)
	}))
}

// flagNames returns all names of flags.
func flagNames(flags []Flag) []string {
	var names []string
	for _, flag := range flags {
		names = append(names, flag.Names...)
	}
	return names
}

// verbNames returns the names of verbs, with or without those that take another verb.
func verbNames(verbs []Verb, all bool) []string {
	var names []string
	for _, verb := range verbs {
		if all || !verb.Verbs {
			names = append(names, verb.Name)
		}
	}
	return names
}

// quoted returns words as a string in single quotes, as POSIX shells read it.
func quoted(words string) string {
	return "'" + strings.ReplaceAll(words, "'", `'\''`) + "'"
}
