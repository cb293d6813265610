package source

import (
	"strings"
	"unicode/utf8"
)

// marks are the byte order marks that editors of other systems put first.
var marks = []struct{ bytes, cause, fix string }{
	{"\xef\xbb\xbf", "it begins with a byte order mark", "save the file as UTF-8 without a byte order mark (BOM)"},
	{"\xff\xfe", "it is UTF-16", "save the file as UTF-8 without a byte order mark (BOM)"},
	{"\xfe\xff", "it is UTF-16", "save the file as UTF-8 without a byte order mark (BOM)"},
}

// CheckText refuses bytes that no config has and reports whether there were
// none. Only the first of a file is named, since a binary file has thousands.
func (s *Source) CheckText() bool {
	for _, p := range s.parts {
		s.checkFile(p.at)
	}
	return !s.Faulty()
}

// checkFile refuses the first bytes of a file that no config has.
func (s *Source) checkFile(at Span) {
	text := s.Typed(at)
	for _, m := range marks {
		if strings.HasPrefix(text, m.bytes) {
			s.Refuse(Span{at.Start, at.Start + len(m.bytes)}, m.fix, "cannot read the file as text: %s", m.cause)
			return
		}
	}
	for i, r := range text {
		if cause, fix := textFault(text[i:], r); cause != "" {
			s.Refuse(Span{at.Start + i, at.Start + i + 1}, fix, "cannot read the file as text: %s", cause)
			return
		}
	}
}

// textFault says what is wrong with r, the first character of rest, or nothing.
func textFault(rest string, r rune) (cause, fix string) {
	switch {
	case r == utf8.RuneError && !strings.HasPrefix(rest, string(utf8.RuneError)):
		return "this byte is not UTF-8", "save the file as UTF-8, or take the byte out"
	case r == '\n', r == '\t', strings.HasPrefix(rest, "\r\n"):
		return "", ""
	case r == '\r':
		return "a carriage return stands without a line feed", "save the file with the line ends of Unix"
	case r < ' ', r == 0x7f:
		return "it holds a control character", "take the character out"
	default:
		return "", ""
	}
}
