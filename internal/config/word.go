package config

import (
	"slices"
	"strings"

	"natspread/internal/suggest"
)

// oneOf returns what reads a word that is one of those known.
func oneOf[T ~string](known ...T) func(text string) (T, *fault) {
	return func(text string) (T, *fault) {
		words := make([]string, len(known))
		for i, word := range known {
			words[i] = string(word)
		}
		if slices.Contains(words, text) {
			return T(text), nil
		}
		why := &fault{cause: "it is not one of " + strings.Join(words, ", ")}
		if guess := suggest.Word(text, words); guess != "" {
			why.fix = `did you mean "` + guess + `"?`
		}
		return T(text), why
	}
}
