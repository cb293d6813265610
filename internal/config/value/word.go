package value

import (
	"slices"
	"strings"

	"natspread/internal/config/source"
	"natspread/internal/suggest"
)

// OneOf returns what reads a word that is one of those known. others are the words of other
// programs, each with the fix for it.
func OneOf[T ~string](others []suggest.Habit, known ...T) func(text string) (T, *Fault) {
	return func(text string) (T, *Fault) {
		words := make([]string, len(known))
		for i, word := range known {
			words[i] = string(word)
		}
		if slices.Contains(words, text) {
			return T(text), nil
		}
		why := &Fault{"it is not one of " + strings.Join(words, ", "), "write one of " + strings.Join(source.QuoteAll(words), ", ")}
		plain := strings.ToLower(strings.Join(strings.Fields(text), ""))
		if habit, found := suggest.Known(others, plain); found {
			why.Fix = habit.Instead
		} else if guess := suggest.Word(text, words); guess != "" {
			why.Fix = `did you mean "` + guess + `"?`
		}
		return T(text), why
	}
}
