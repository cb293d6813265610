package edit

import "natspread/internal/config/source"

// document is the text of a config that parses.
type document struct{ *source.Source }

// newDocument takes a text that parses.
func newDocument(name string, text []byte) document {
	return document{source.New(name, text)}
}

// service returns the table of the service at a place in the config.
func (s document) service(place int) source.Table {
	noExample := func(string) string { return "" } // it has no syntax error
	for _, t := range s.ReadTables(noExample) {
		if t.Name != "service" {
			continue
		}
		if place == 0 {
			return t
		}
		place--
	}
	return source.Table{}
}
