package source

import "testing"

// TestQuote reads back what Quote wrote, letter by letter.
func TestQuote(t *testing.T) {
	for _, want := range []string{"", "a", `"`, `\`, `\"`, "\n\r\t\x00\x1f\x7f", `\u0041`, "é日", `"""`} {
		s := New("f", []byte("a = "+Quote(want)))
		tables := s.ReadTables(func(string) string { return "" })
		if len(s.errs) > 0 || tables[0].Pairs[0].Value.Text != want {
			t.Errorf("Quote(%q) is %s, which reads as %+v %v", want, Quote(want), tables[0].Pairs, s.errs)
		}
	}
}
