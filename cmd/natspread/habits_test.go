package main

import (
	"slices"
	"strings"
	"testing"

	"natspread/internal/cmdline"
	"natspread/internal/suggest"
)

// What people are told to type instead must be something that natspread takes, and what it
// takes needs no such words.
func TestHabits(t *testing.T) {
	t.Parallel()
	program := (&session{}).program()
	flags := map[string]bool{}
	verbs := []string{"help"}
	for _, verb := range program.Verbs {
		verbs = append(verbs, verb.Name)
		for _, flag := range cmdline.Described(slices.Concat(verb.Flags, program.Flags)) {
			for _, name := range flag.Names {
				flags[name] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, habit := range suggest.Habits() {
		for typed := range strings.FieldsSeq(habit.Typed) {
			if seen[typed] || slices.Contains(verbs, typed) || flags[typed] {
				t.Errorf("%q is listed twice, or natspread takes it", typed)
			}
			seen[typed] = true
		}
		words := strings.Fields(habit.Instead)
		if words[0] == "natspread" {
			if _, err := parse(realValues(words[1:])...); err != nil {
				t.Errorf("%s: %v", habit.Instead, err)
			}
		} else if strings.HasPrefix(words[0], "-") && !flags[words[0]] && words[0] != "--help" {
			t.Errorf("no verb has the flag %s", words[0])
		}
	}
}

// realValues puts something that can be read in place of what stands in capitals.
func realValues(words []string) []string {
	words = slices.Clone(words)
	for i, word := range words {
		if word == "ADDRESS:PORT" {
			words[i] = "192.0.2.10:80"
		}
	}
	return words
}
