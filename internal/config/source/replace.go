package source

// Value returns the value of a key that the table has.
func (t Table) Value(key string) Value {
	for _, p := range t.Pairs {
		if p.Name == key {
			return p.Value
		}
	}
	return Value{}
}

// Replace returns the text with another one in place of a span.
func (s *Source) Replace(at Span, with string) []byte {
	return []byte(s.Text[:at.Start] + with + s.Text[at.End:])
}
