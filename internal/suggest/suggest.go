// Package suggest finds the word that was most likely meant by one that is not known.
package suggest

import "strings"

// longest is the longest word that is looked at: distance takes time and memory by
// the product of two lengths.
const longest = 80

// Word returns the candidate that word was most likely meant to be, or "". It never returns
// the opposite of word, and neither of two opposites that are as near as each other.
func Word(word string, candidates []string) string {
	if len(word) < 2 || len(word) > longest {
		return ""
	}
	word = strings.ToLower(word)
	best, least := "", slips(word)+1
	for _, c := range candidates {
		if max(len(word)-len(c), len(c)-len(word)) > least {
			continue // so many letters would have to be inserted or dropped
		}
		switch d := distance(word, c); {
		case d < least:
			best, least = c, d
		case d == least && opposites(best, c):
			best = "" // whoever is in a hurry shall not be sent the wrong way by chance
		}
	}
	if best == "" {
		best = beginning(word, candidates)
	}
	if opposites(word, best) {
		return ""
	}
	return best
}

// slips is how many slips of the fingers a word may have: in a short one two make another word.
func slips(word string) int {
	if len(word) <= 4 {
		return 1
	}
	return 2
}

// negations are what turns a word into its opposite, put before it.
var negations = []string{"un", "in", "no", "non", "not", "de", "dis"}

// opposites tells whether one of two words is the other, or nearly so, behind a negation.
func opposites(a, b string) bool { return negates(a, b) || negates(b, a) }

// negates tells whether a is b behind a negation. A slip counts only where enough of the word
// is left to tell it from another one.
func negates(a, b string) bool {
	for _, negation := range negations {
		rest, found := strings.CutPrefix(a, negation)
		rest = strings.TrimLeft(rest, "-_")
		if found && len(rest) >= 2 && distance(rest, b) < slips(rest) {
			return true
		}
	}
	return false
}

// beginning returns the candidate that word cuts short or runs past.
func beginning(word string, candidates []string) string {
	for _, c := range candidates {
		if len(word) >= 3 && (strings.HasPrefix(c, word) || strings.HasPrefix(word, c)) {
			return c
		}
	}
	return ""
}

// distance counts the letters to insert, drop, change or swap with their
// neighbour that turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
		for j := 1; j <= len(b); j++ {
			if i == 0 {
				rows[i][j] = j
				continue
			}
			changed := 1
			if a[i-1] == b[j-1] {
				changed = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
