package value

import (
	"slices"
	"strings"

	"natspread/internal/suggest"
)

// OneOf returns what reads a word that is one of those known.
func OneOf[T ~string](known ...T) func(text string) (T, *Fault) {
	return func(text string) (T, *Fault) {
		words := make([]string, len(known))
		for i, word := range known {
			words[i] = string(word)
		}
		if slices.Contains(words, text) {
			return T(text), nil
		}
		why := &Fault{Cause: "it is not one of " + strings.Join(words, ", ")}
		if guess := suggest.Word(text, words); guess != "" {
			why.Fix = `did you mean "` + guess + `"?`
		}
		return T(text), why
	}
}
