package source

import (
	"fmt"
	"strings"
)

// QuoteList writes one string alone, and several as a list.
func QuoteList(list []string) string {
	if len(list) == 1 {
		return Quote(list[0])
	}
	return "[" + strings.Join(QuoteAll(list), ", ") + "]"
}

// QuoteAll quotes every string of a list.
func QuoteAll(list []string) []string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = Quote(s)
	}
	return all
}

// Quote writes a TOML string that holds exactly s, whatever s is.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
