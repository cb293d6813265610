package config

import "testing"

// TestQuote reads back what quote wrote, letter by letter.
func TestQuote(t *testing.T) {
	for _, want := range []string{"", "a", `"`, `\`, `\"`, "\n\r\t\x00\x1f\x7f", `\u0041`, "é日", `"""`} {
		s := newSource("f", []byte("a = "+quote(want)))
		tables := s.readTables(exampleOf)
		if len(s.errs) > 0 || tables[0].pairs[0].value.text != want {
			t.Errorf("quote(%q) is %s, which reads as %+v %v", want, quote(want), tables[0].pairs, s.errs)
		}
	}
}
