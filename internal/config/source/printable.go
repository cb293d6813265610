package source

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// context is how many bytes of a long line are shown on each side of the caret.
const context = 60

// ellipsis stands for what is left out.
const ellipsis = "..."

// FirstBytes cuts s after context bytes, between two characters.
func FirstBytes(s string) string {
	if len(s) <= context {
		return s
	}
	n := context
	for n > context-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + ellipsis
}

// lastBytes keeps the last context bytes of s, from the start of a character.
func lastBytes(s string) string {
	if len(s) <= context {
		return s
	}
	n := len(s) - context
	for n < len(s)-1 && !utf8.RuneStart(s[n]) {
		n++
	}
	return ellipsis + s[n:]
}

// firstRunes cuts s to so many characters.
func firstRunes(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:max(0, most-len(ellipsis))]) + ellipsis
}

// lastRunes keeps the last characters of s, so many of them.
func lastRunes(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return ellipsis + string(runes[min(len(runes), len(runes)-most+len(ellipsis)):])
}

// printable escapes what a terminal would obey instead of show; a tab becomes
// one space so that carets stay below their value.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[n:]
	}
	return b.String()
}
