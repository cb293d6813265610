// Package suggest finds the word that was most likely meant by one that is not known.
package suggest

import "strings"

// longest is the longest word that is looked at: distance takes time and memory by
// the product of two lengths.
const longest = 80

// Word returns the candidate that word was most likely meant to be, or "".
func Word(word string, candidates []string) string {
	if len(word) < 2 || len(word) > longest {
		return ""
	}
	word = strings.ToLower(word)
	best, least := "", 3 // two slips at most
	if len(word) <= 4 {
		least = 2 // in a short word two slips make another word
	}
	for _, c := range candidates {
		if d := distance(word, c); d < least {
			best, least = c, d
		}
	}
	if best != "" {
		return best
	}
	return beginning(word, candidates)
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
