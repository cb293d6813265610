package config

// value returns the value of a key that the table has.
func (t table) value(key string) value {
	for _, p := range t.pairs {
		if p.name == key {
			return p.value
		}
	}
	return value{}
}

// replace returns the text with another one in place of a span.
func (s *source) replace(at span, with string) []byte {
	return []byte(s.text[:at.start] + with + s.text[at.end:])
}
