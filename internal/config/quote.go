package config

import (
	"fmt"
	"strings"
)

// quoteList writes one string alone, and several as a list.
func quoteList(list []string) string {
	if len(list) == 1 {
		return quote(list[0])
	}
	return "[" + strings.Join(quoteAll(list), ", ") + "]"
}

// quoteAll quotes every string of a list.
func quoteAll(list []string) []string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = quote(s)
	}
	return all
}

// quote writes a TOML string that holds exactly s, whatever s is.
func quote(s string) string {
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
