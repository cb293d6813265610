package config

import (
	_ "embed"
	"fmt"
	"strings"
)

// example is the commented config of a balancer for three web servers.
//
//go:embed example.toml
var example string

// Example returns a commented config that parses and names every key there is.
func Example() []byte { return []byte(example) }

// Compose returns the example with the given listen addresses, backends and
// snat in place of its own; what is empty stays. With listen addresses and no
// snat it masquerades, since the example's snat address belongs to the
// example's listen address. A text that would not parse is not returned: the
// error is the one Parse has for it.
func Compose(listen, backends []string, snat string) ([]byte, error) {
	if snat == "" && len(listen) > 0 {
		snat = SNAT{}.String()
	}
	text := example
	if len(listen) > 0 {
		text = replaceValue(text, "listen", quoteList(listen))
	}
	if len(backends) > 0 {
		text = replaceValue(text, "backends", "[\n  "+strings.Join(quoteAll(backends), ",\n  ")+",\n]")
	}
	if snat != "" {
		text = replaceValue(text, "snat", quote(snat))
	}
	if _, err := Parse("natspread init", []byte(text)); err != nil {
		return nil, err
	}
	return []byte(text), nil
}

// replaceValue puts value in place of what a key of the first service, which has it, has.
func replaceValue(text, key, value string) string {
	s := newSource("", []byte(text))
	return string(s.replace(s.readTables()[1].value(key).at, value))
}

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
