package config

import (
	"regexp"
	"strings"
)

// lastKey finds the key whose value a syntax error stands in.
var lastKey = regexp.MustCompile(`([A-Za-z0-9_-]+)[ \t]*=[^=]*$`)

// syntaxFix is the way to write whatever the syntax error stands in: the example of its key, or a
// form.
func (s *source) syntaxFix(at span, exampleOf func(key string) string) string {
	line := s.text[strings.LastIndexByte(s.text[:at.start], '\n')+1 : at.start]
	if m := lastKey.FindStringSubmatch(line); m != nil {
		if example := exampleOf(m[1]); example != "" {
			return "write " + example
		}
	}
	if strings.HasPrefix(s.text[at.start-len(line):], "[") {
		return "write [[service]]; if a list above is still open, close it with ]"
	}
	return `write key = "value": strings in quotes, lists as ["one", "two"]`
}
