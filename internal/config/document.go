package config

// document is the text of a config that parses.
type document struct{ *source }

// newDocument takes a text that parses.
func newDocument(name string, text []byte) document {
	return document{newSource(name, text)}
}

// service returns the table of the service at a place in the config.
func (s document) service(place int) table {
	noExample := func(string) string { return "" } // it has no syntax error
	for _, t := range s.readTables(noExample) {
		if t.name != "service" {
			continue
		}
		if place == 0 {
			return t
		}
		place--
	}
	return table{}
}
