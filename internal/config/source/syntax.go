package source

import (
	"regexp"
	"strings"
)

// lastKey finds the key whose value a syntax error stands in.
var lastKey = regexp.MustCompile(`([A-Za-z0-9_-]+)[ \t]*=[^=]*$`)

// syntaxFix is the way to write whatever the syntax error stands in: the example of its key, or a
// form.
func (s *Source) syntaxFix(at Span, exampleOf func(key string) string) string {
	line := s.Text[strings.LastIndexByte(s.Text[:at.Start], '\n')+1 : at.Start]
	if m := lastKey.FindStringSubmatch(line); m != nil {
		if example := exampleOf(m[1]); example != "" {
			return "write " + example
		}
	}
	if strings.HasPrefix(s.Text[at.Start-len(line):], "[") {
		return "write [[service]]; if a list above is still open, close it with ]"
	}
	return `write key = "value": strings in quotes, lists as ["one", "two"]`
}
