package config

import (
	"regexp"
	"strings"
)

// lastKey finds the key whose value a syntax error stands in.
var lastKey = regexp.MustCompile(`([A-Za-z0-9_-]+)[ \t]*=[^=]*$`)

// syntaxFix is the way to write whatever the syntax error stands in.
func (s *source) syntaxFix(at span) string {
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

// exampleOf shows how a key is written, or is empty for a key nobody knows.
func exampleOf(name string) string {
	if k, ok := find(serviceKeys, name); ok {
		return k.example
	}
	if k, ok := find(backendKeys, name); ok {
		return k.example
	}
	if k, ok := find(checkKeys, name); ok {
		return k.example
	}
	return ""
}
